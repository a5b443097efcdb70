use std::time::{Duration, Instant};

use crate::Outcome;
use crate::command::eventually;
use crate::hosts::{HIDDEN, Hosts, workers};
use crate::pods::{PORT, web_address};

const SHORT: Duration = Duration::from_secs(10);

/// The agent dies and is started again, as an init system would: pods go on and the node is back.
pub(crate) fn worker(hosts: &mut Hosts) -> Outcome {
    let container = "{.status.containerStatuses[0].containerID}";
    let before = hosts.get(&["pod", "web-w2"], container)?;
    let address = web_address(hosts, "w2")?;
    hosts.kill_worker("w2")?;
    ask(hosts, "w2", &address, "says-w2")?;
    let started = Instant::now();
    hosts.work("w2")?;
    // Reached from another node again: network, proxy and pod are back.
    eventually(Duration::from_secs(60), || ask(hosts, "w1", &address, "says-w2"))?;
    println!("  pods of the worker are reached {:.1} s after its start", started.elapsed().as_secs_f64());
    // The node behind NAT is found where it was: it does not speak up by itself before its session has aged.
    if workers().iter().any(|(node, _)| *node == HIDDEN) {
        let hidden = web_address(hosts, HIDDEN)?;
        eventually(Duration::from_secs(20), || ask(hosts, "w2", &hidden, "says-w3"))?;
        println!(
            "  and the node behind NAT is reached from it {:.1} s after",
            started.elapsed().as_secs_f64()
        );
    }
    hosts.ready("w2", Duration::from_secs(60))?;
    let after = hosts.get(&["pod", "web-w2"], container)?;
    if before == after { Ok(()) } else { Err(format!("the pod was started again: {before} became {after}")) }
}

/// The master dies: what runs on the nodes goes on, among nodes too. `up` starts it again and nodes come back.
pub(crate) fn master(hosts: &mut Hosts) -> Outcome {
    let pid = hosts.master_pid()?;
    let addresses: Vec<String> =
        workers().iter().map(|(node, _)| web_address(hosts, node)).collect::<Result<_, _>>()?;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).map_err(|error| error.to_string())?;
    for (from, _) in workers() {
        for ((node, _), address) in workers().iter().zip(&addresses) {
            ask(hosts, from, address, &format!("says-{node}"))
                .map_err(|error| format!("without a master, from {from} to {node}: {error}"))?;
        }
    }
    let started = Instant::now();
    eventually(Duration::from_secs(90), || hosts.kubectl(&["get", "nodes"], "")?.ok())?;
    println!("  the API answers again after {:.1} s", started.elapsed().as_secs_f64());
    for (node, _) in workers() {
        hosts.ready(node, Duration::from_secs(60))?;
    }
    Ok(())
}

/// Asks a pod's web server from a machine.
pub(crate) fn ask(hosts: &Hosts, from: &str, address: &str, word: &str) -> Outcome {
    let ask = format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 5 {address} {PORT} | grep {word}");
    hosts.shell(from, &ask, SHORT)?.ok().map(drop)
}
