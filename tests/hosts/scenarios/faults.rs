use std::time::{Duration, Instant};

use crate::Outcome;
use crate::command::{eventually, pause};
use crate::hosts::Hosts;
use crate::lan::NATED;
use crate::pods::pod;

/// How long the node behind NAT is cut off from everybody.
const PARTITION: Duration = Duration::from_secs(60);

/// While somebody works in a pod behind NAT, its node's tunnel is cut for a minute: that exec ends with an error, and the
/// kubelet is reached again without a hand. This kernel has no `tc netem`; the router drops the packets.
pub(crate) fn partition(hosts: &mut Hosts) -> Outcome {
    let rules = |change: &str| {
        ["-d", "-s"].map(|way| format!("iptables -w 5 {change} FORWARD {way} {NATED} -j DROP")).join(" && ")
    };
    let started = Instant::now();
    let ended = std::thread::scope(|scope| {
        let hosts = &*hosts;
        let working = scope.spawn(move || {
            let said = hosts.kubectl(&["exec", "web-w3", "--", "sleep", "300"], "");
            (said, started.elapsed())
        });
        // It has to be under way first.
        eventually(Duration::from_secs(10), || {
            let said = hosts.kubectl(&["exec", "web-w3", "--", "ps"], "")?.ok()?;
            if said.contains("sleep 300") { Ok(()) } else { Err(said) }
        })?;
        hosts.shell("router", &rules("-I"), Duration::from_secs(20))?.ok()?;
        pause(PARTITION);
        hosts.shell("router", &rules("-D"), Duration::from_secs(20))?.ok()?;
        working.join().map_err(|_| "kubectl was lost".to_owned())
    })?;
    let (said, after) = ended;
    let said = said?;
    if said.code == 0 {
        return Err(format!("an exec over a cut tunnel ended well: {said}"));
    }
    println!("  the exec ended with an error {:.1} s after it began", after.as_secs_f64());
    let healed = Instant::now();
    hosts.ready("w3", Duration::from_secs(90))?;
    println!("  the node was Ready {:.1} s after the network was back", healed.elapsed().as_secs_f64());
    // Its pods had to go meanwhile, so a new one is asked, which only the tunnel reaches.
    hosts.apply(&pod("again", "w3", "exec sleep 300", "Never", ""))?;
    let said = eventually(Duration::from_secs(60), || {
        hosts.kubectl(&["exec", "again", "--", "echo", "here"], "")?.ok()
    })?;
    println!("  an exec went through {:.1} s after the network was back", healed.elapsed().as_secs_f64());
    if said.trim() == "here" { Ok(()) } else { Err(format!("exec said {said:?}")) }
}

/// One packet in ten is lost in each direction: slower, and all of it arrives.
pub(crate) fn loss(hosts: &mut Hosts) -> Outcome {
    let lost = "-m statistic --mode random --probability 0.1 -j DROP";
    let rules = [format!("FORWARD -d {NATED} {lost}"), format!("FORWARD -s {NATED} {lost}")];
    for rule in &rules {
        hosts.shell("router", &format!("iptables -w 5 -I {rule}"), Duration::from_secs(20))?.ok()?;
    }
    let started = Instant::now();
    let count = "dd if=/dev/zero bs=1024 count=512 2>/dev/null";
    let said = hosts.kubectl(&["exec", "web-w3", "--", "/bin/sh", "-c", count], "");
    for rule in &rules {
        hosts.shell("router", &format!("iptables -w 5 -D {rule}"), Duration::from_secs(20))?.ok()?;
    }
    let got = said?.ok()?.len();
    println!("  512 KiB came in {:.1} s while one packet in ten was lost", started.elapsed().as_secs_f64());
    if got == 512 << 10 {
        hosts.ready("w3", Duration::from_secs(60))
    } else {
        Err(format!("{got} bytes came"))
    }
}
