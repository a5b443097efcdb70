use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::run;

/// Addresses of the test network (RFC 2544), one half on either side of the router.
pub(crate) const MASTER: &str = "198.18.0.10";
pub(crate) const WORKER_1: &str = "198.18.0.11";
pub(crate) const WORKER_2: &str = "198.18.0.12";
/// Behind the router: nobody outside has a way to it.
pub(crate) const NATED: &str = "198.19.0.13";
const ROUTER: &str = "198.18.0.2";
const ROUTER_INSIDE: &str = "198.19.0.1";

const LIMIT: Duration = Duration::from_secs(20);

/// Machines as network namespaces: four at one switch, of which one is a router, and one behind that router, which
/// hides it (NAT) and lets nothing in that was not asked for.
pub(crate) struct Lan {
    prefix: String,
    made: Vec<String>,
}

impl Lan {
    pub(crate) fn new() -> Result<Self, String> {
        let mut lan = Self { prefix: format!("k3sd{}", std::process::id()), made: Vec::new() };
        lan.build()?;
        Ok(lan)
    }

    fn build(&mut self) -> Result<(), String> {
        for name in ["switch", "router", "master", "w1", "w2", "w3"] {
            let space = self.name(name);
            ip(&["netns", "add", &space])?;
            self.made.push(space);
            self.inside(name, "ip link set lo up")?;
        }
        self.inside("switch", "ip link add br0 type bridge && ip link set br0 up")?;
        for (host, address) in [("router", ROUTER), ("master", MASTER), ("w1", WORKER_1), ("w2", WORKER_2)] {
            self.cable("switch", host, "eth0", address)?;
            self.inside("switch", &format!("ip link set to-{host} master br0"))?;
        }
        self.cable("router", "w3", "eth0", NATED)?;
        self.inside("router", &format!("ip address add {ROUTER_INSIDE}/24 dev to-w3"))?;
        for host in ["master", "w1", "w2"] {
            self.inside(host, &format!("ip route add default via {ROUTER}"))?;
        }
        self.inside("w3", &format!("ip route add default via {ROUTER_INSIDE}"))?;
        // A home router: masks what goes out, forwards only what belongs to a connection from inside.
        self.inside("router", "echo 1 > /proc/sys/net/ipv4/ip_forward")?;
        for rule in [
            "-t nat -A POSTROUTING -o eth0 -j MASQUERADE",
            "-P FORWARD DROP",
            "-A FORWARD -i to-w3 -o eth0 -j ACCEPT",
            "-A FORWARD -i eth0 -o to-w3 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        ] {
            self.inside("router", &format!("iptables -w 5 {rule}"))?;
        }
        Ok(())
    }

    /// A cable between two machines; the far end gets an address of a /24.
    fn cable(&self, near: &str, far: &str, interface: &str, address: &str) -> Result<(), String> {
        let (near_space, far_space, port) = (self.name(near), self.name(far), format!("to-{far}"));
        ip(&[
            "link",
            "add",
            &port,
            "netns",
            &near_space,
            "type",
            "veth",
            "peer",
            "name",
            interface,
            "netns",
            &far_space,
        ])?;
        self.inside(near, &format!("ip link set {port} up"))?;
        self.inside(
            far,
            &format!("ip address add {address}/24 dev {interface} && ip link set {interface} up"),
        )
    }

    fn inside(&self, host: &str, script: &str) -> Result<(), String> {
        run(self.command(host, Path::new("/bin/sh")).args(["-c", script]), "", LIMIT)?.ok().map(drop)
    }

    /// A command on that machine. Only its network is its own: `ip netns exec` would hide the cgroups too.
    pub(crate) fn command(&self, host: &str, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        let space = PathBuf::from("/run/netns").join(self.name(host));
        command.arg(format!("--net={}", space.display())).arg(program);
        command
    }

    fn name(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for space in &self.made {
            if let Err(error) = ip(&["netns", "delete", space]) {
                eprintln!("{error}");
            }
        }
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    run(Command::new("ip").args(args), "", LIMIT)?.ok().map(drop)
}
