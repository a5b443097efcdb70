use std::time::{Duration, Instant};

use crate::Outcome;
use crate::command::eventually;
use crate::hosts::{Hosts, workers};
use crate::pods::{PORT, check, web_address, web_servers};

/// How long after the first worker's start all nodes may take.
const READY_LIMIT: Duration = Duration::from_secs(90);

pub(crate) fn all_ready(hosts: &mut Hosts) -> Outcome {
    let started = Instant::now();
    for (node, _) in workers() {
        hosts.ready(node, READY_LIMIT)?;
    }
    println!("  all are Ready {:.1} s after the last worker was started", started.elapsed().as_secs_f64());
    let ranges = hosts.get(&["nodes"], "{.items[*].spec.podCIDR}")?;
    let mut ranges: Vec<&str> = ranges.split(' ').collect();
    ranges.sort_unstable();
    ranges.dedup();
    if ranges.len() != workers().len() {
        return Err(format!("nodes share ranges of pod addresses: {ranges:?}"));
    }
    // Nobody outside reaches the machine behind the router.
    let reached =
        hosts.shell("w1", "busybox nc -w 2 198.19.0.13 10250 </dev/null", Duration::from_secs(10))?;
    if reached.code == 0 { Err("the node behind NAT can be reached from outside".into()) } else { Ok(()) }
}

pub(crate) fn pods_reach_each_other(hosts: &mut Hosts) -> Outcome {
    web_servers(hosts)?;
    let mut by_address = String::new();
    for (node, _) in workers() {
        let address = web_address(hosts, node)?;
        by_address += &format!("try \"{node} by address\" ask {address} {PORT} says-{node}\n");
    }
    let nodes = workers().len();
    let script = format!(
        r#"
try() {{
    echo "$1" > /dev/termination-log; shift
    for i in 1 2 3 4 5 6 7 8 9 10; do "$@" && return 0; busybox sleep 1; done
    exit 1
}}
by_name() {{ ask "$(resolve web.default.svc.cluster.local)" 80 says-; }}
headless() {{ [ "$(busybox nslookup peers.default.svc.cluster.local | busybox grep -c '^Name')" = {nodes} ]; }}
srv() {{ busybox nslookup -type=srv _http._tcp.web.default.svc.cluster.local | busybox grep -q web.default; }}
ptr() {{ busybox nslookup 10.43.0.10 | busybox grep -q kube-dns.kube-system; }}
{by_address}try "the service by name" by_name
try "every pod of the headless service" headless
try "SRV" srv
try "PTR" ptr
"#
    );
    for (node, _) in workers() {
        check(hosts, &format!("check-{node}"), node, &script)?;
    }
    Ok(())
}

/// From outside of the cluster, at the address of any node.
pub(crate) fn load_balancer(hosts: &mut Hosts) -> Outcome {
    let kind = r#"{"spec":{"type":"LoadBalancer"}}"#;
    hosts.kubectl(&["patch", "service", "web", "-p", kind], "")?.ok()?;
    let path = "{.status.loadBalancer.ingress[*].ip}";
    let addresses = eventually(Duration::from_secs(20), || {
        let addresses = hosts.get(&["service", "web"], path)?;
        if addresses.split(' ').count() == workers().len() {
            Ok(addresses)
        } else {
            Err(format!("addresses: {addresses}"))
        }
    })?;
    for (node, address) in &workers()[..2] {
        if !addresses.split(' ').any(|given| given == *address) {
            return Err(format!("{node}'s address is not among {addresses}"));
        }
        let ask = format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 3 {address} 80 | grep says-");
        eventually(Duration::from_secs(20), || hosts.shell("master", &ask, Duration::from_secs(10))?.ok())?;
    }
    // Ports that nodes need for themselves are nobody's.
    let thief = "apiVersion: v1\nkind: Service\nmetadata: { name: thief }\nspec: { type: LoadBalancer, ports: [{ port: 10250 }] }\n";
    hosts.apply(thief)?;
    eventually(Duration::from_secs(20), || {
        let events =
            hosts.kubectl(&["get", "events", "--field-selector=involvedObject.name=thief"], "")?.ok()?;
        if events.contains("10250") { Ok(()) } else { Err(format!("events: {events}")) }
    })?;
    match hosts.get(&["service", "thief"], path)?.as_str() {
        "" => hosts.kubectl(&["delete", "service", "thief"], "")?.ok().map(drop),
        given => Err(format!("the kubelets' port was given away at {given}")),
    }
}

/// Through the connection that the worker holds open: the master has no way to it.
pub(crate) fn logs_and_exec(hosts: &mut Hosts) -> Outcome {
    for (node, _) in workers() {
        let (pod, word) = (format!("web-{node}"), format!("says-{node}"));
        let logs = hosts.kubectl(&["logs", &pod], "")?.ok()?;
        let said = hosts.kubectl(&["exec", &pod, "--", "cat", "/tmp/www/index.html"], "")?.ok()?;
        if logs.trim() != word || said.trim() != word {
            return Err(format!("{node}: logs say {logs:?}, exec says {said:?}"));
        }
    }
    Ok(())
}

/// `kubectl top` knows all nodes, that behind NAT too.
pub(crate) fn metrics(hosts: &mut Hosts) -> Outcome {
    eventually(Duration::from_secs(90), || {
        let top = hosts.kubectl(&["top", "nodes", "--no-headers"], "")?.ok()?;
        let known = top.lines().filter(|line| line.contains('%') && !line.contains("unknown")).count();
        if known == workers().len() { Ok(()) } else { Err(top) }
    })?;
    hosts.kubectl(&["top", "pods"], "")?.ok().map(drop)
}
