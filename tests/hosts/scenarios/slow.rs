use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::command::{eventually, pause};
use crate::hosts::{HIDDEN, Hosts};
use crate::lan::{MASTER, NATED};

/// The word after which this program is [`proxy`] and no test.
pub(crate) const PROXY: &str = "delaying-proxy";
/// What is said in either direction arrives so much later.
const DELAY: Duration = Duration::from_millis(500);
/// Chain, apiserver and gateway.
const PORTS: [u16; 3] = [9_000, 6_443, 9_345];
/// What is added to a port for the proxy before it.
const BEFORE: u16 = 20_000;

/// Everything that the node behind NAT and the master say to each other takes half a second in each direction. This kernel has no `tc
/// netem`; the router passes TCP on to a proxy that waits.
pub(crate) fn delay(hosts: &mut Hosts) -> Outcome {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = hosts.lan.command("router", &own);
    let proxy = command.arg(PROXY).args(PORTS.map(|port| port.to_string())).stdin(Stdio::null()).spawn();
    let proxy = Ended(proxy.map_err(|error| error.to_string())?);
    let rules = |change: &str| {
        let rule = |port| {
            let to = port + BEFORE;
            format!(
                "iptables -w 5 -t nat {change} PREROUTING -s {NATED} -d {MASTER} -p tcp --dport {port} -j REDIRECT --to-ports {to}"
            )
        };
        PORTS.map(rule).join(" && ")
    };
    let limit = Duration::from_secs(20);
    // The router forgets the connections that are there: their next packet meets the proxy, which knows nothing of them, and ends them.
    let forget = format!("conntrack -D -s {NATED} -p tcp >/dev/null 2>&1 || true");
    hosts.shell("router", &format!("{} && {forget}", rules("-I")), limit)?.ok()?;
    let outcome = slowly(hosts);
    hosts.shell("router", &format!("{} && {forget}", rules("-D")), limit)?.ok()?;
    drop(proxy);
    outcome?;
    hosts.ready(HIDDEN, Duration::from_secs(60))?;
    eventually(Duration::from_secs(60), || said_after(hosts).map(drop))
}

fn slowly(hosts: &Hosts) -> Outcome {
    let (started, least) = (Instant::now(), 2 * DELAY);
    eventually(Duration::from_secs(90), || match said_after(hosts)? {
        took if took < least => Err(format!("it took {took:?} only")),
        _ => Ok(()),
    })?;
    println!(
        "  an exec goes through {:.1} s after all connections were cut",
        started.elapsed().as_secs_f64()
    );
    hosts.ready(HIDDEN, Duration::from_secs(90))?;
    // Heartbeats, leases and the tunnel hold at that pace.
    pause(Duration::from_secs(15));
    for _ in 0..3 {
        let took = said_after(hosts)?;
        println!("  an exec took {:.1} s", took.as_secs_f64());
    }
    hosts.ready(HIDDEN, Duration::from_secs(5))
}

/// How long an exec behind NAT takes.
fn said_after(hosts: &Hosts) -> Result<Duration, String> {
    let started = Instant::now();
    let said = hosts.kubectl(&["exec", &format!("web-{HIDDEN}"), "--", "echo", "here"], "")?.ok()?;
    if said.trim() == "here" { Ok(started.elapsed()) } else { Err(format!("exec said {said:?}")) }
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Passes on what comes to each of the ports, later. Until it is killed.
pub(crate) fn proxy(ports: &[String]) -> ExitCode {
    let serving: Vec<_> = ports
        .iter()
        .filter_map(|port| port.parse::<u16>().ok())
        .filter_map(|port| Some((port, TcpListener::bind(("0.0.0.0", port + BEFORE)).ok()?)))
        .map(|(port, listener)| std::thread::spawn(move || serve(&listener, port)))
        .collect();
    if serving.len() != ports.len() {
        return ExitCode::FAILURE;
    }
    serving.into_iter().for_each(|thread| drop(thread.join()));
    ExitCode::SUCCESS
}

fn serve(listener: &TcpListener, port: u16) {
    for near in listener.incoming().flatten() {
        std::thread::spawn(move || {
            let Ok(far) = TcpStream::connect((MASTER, port)) else { return };
            let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else { return };
            std::thread::spawn(move || later(near, far));
            later(far_too, near_too);
        });
    }
}

/// Copies, each piece when its time has come, until one end closes.
fn later(mut from: TcpStream, mut to: TcpStream) {
    let (pieces, due) = mpsc::sync_channel::<(Instant, Vec<u8>)>(1_024);
    let _ = to.set_nodelay(true);
    let writer = std::thread::spawn(move || {
        for (at, piece) in due {
            pause(at.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        // The other side may have closed first.
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if pieces.send((Instant::now() + DELAY, buffer[..length].to_vec())).is_err() {
            break;
        }
    }
    drop(pieces);
    let _ = writer.join();
}
