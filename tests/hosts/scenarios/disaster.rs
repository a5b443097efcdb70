//! The master's disk is lost while its workers work.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Outcome;
use crate::command::eventually;
use crate::crash::ask;
use crate::hosts::{Hosts, workers};
use crate::lan::{MASTER, WORKER_1, WORKER_2};
use crate::pods::web_address;

const MINUTE: Duration = Duration::from_secs(60);
/// Objects that are written before, by so many at once: each kubectl limits itself.
const OBJECTS: usize = 5_000;
const WRITERS: usize = 10;
/// What tells one life of a container from another.
const LIVES: &str = "{range .items[*]}{.metadata.name} {.metadata.uid} {.status.containerStatuses[0].containerID} \
                     {.status.containerStatuses[0].state.running.startedAt} {.status.containerStatuses[0].restartCount}{\"\\n\"}{end}";

/// Every file of the master is destroyed. It comes back from the chain, the cold store and two of three holders, at another endpoint; the
/// workers find it by themselves, their containers never stopped, and every object is as it was.
pub(crate) fn lost_master(hosts: &mut Hosts) -> Outcome {
    write_objects(hosts)?;
    let mut holders = Holders::deal(hosts)?;
    let lives = hosts.get(&["pods", "-l", "app=web"], LIVES)?;
    let before = dump(hosts)?;
    let saving = Instant::now();
    master(hosts, &["snapshot", "save"])?;
    println!("  {} objects are in a snapshot after {:.1} s", before.len(), saving.elapsed().as_secs_f64());
    // The chain takes no second anchor of one revision, and the last may be of this one: something has to have happened since.
    hosts.kubectl(&["annotate", "node", "w1", "after-the-snapshot=yes"], "")?.ok()?;
    master(hosts, &["anchor"])?;
    let status: Value = parse(&master(hosts, &["status", "-o", "json"])?)?;
    let cluster = status["clusterId"].as_str().unwrap_or_default().to_owned();

    let began = Instant::now();
    master(hosts, &["down"])?;
    let files = hosts.state("master").join("master");
    std::fs::remove_dir_all(&files).map_err(|error| format!("removing {}: {error}", files.display()))?;
    drop(holders.running.remove(0));
    let chain = Running::start(
        hosts,
        "master",
        &["devnet", "--data-dir", &hosts.state("master").join("devnet").to_string_lossy()],
    )?;
    let mut recover = vec!["recover", "--cluster", &cluster, "-o", "json"];
    holders.urls.iter().skip(1).for_each(|url| recover.extend(["--holder", url]));
    let recovered = eventually(MINUTE, || master(hosts, &recover))?;
    drop(chain);
    let recovered: Value = parse(&recovered)?;
    if recovered["rootComparedAt"].is_null() {
        return Err(format!("no root was compared: {recovered}"));
    }
    hosts.move_master("0.0.0.0:9446", "0.0.0.0:6446")?;
    hosts.up()?;
    println!("  the master is at its new endpoint after {:.1} s", began.elapsed().as_secs_f64());
    // Nobody started a worker, gave it a token, or said where the master is.
    for (node, _) in workers() {
        renewed(hosts, node)?;
    }
    println!("  all workers have found it after {:.1} s", began.elapsed().as_secs_f64());
    let after = dump(hosts)?;
    if before != after {
        let lost: Vec<&Value> = before.iter().filter(|object| !after.contains(object)).take(3).collect();
        return Err(format!("of {} objects some are not what they were: {lost:?} …", before.len()));
    }
    let now = hosts.get(&["pods", "-l", "app=web"], LIVES)?;
    if now != lives {
        return Err(format!("the workloads are others:\n{lives}became\n{now}"));
    }
    for (node, _) in workers() {
        ask(hosts, "w1", &web_address(hosts, node)?, &format!("says-{node}"))?;
    }
    println!("  {} objects and {} pods as they were", after.len(), lives.lines().count());
    Ok(())
}

/// The node has told the new master that it is Ready: what the snapshot says of it is older.
fn renewed(hosts: &Hosts, node: &str) -> Outcome {
    let lease = |hosts: &Hosts| hosts.get(&["lease", "-n", "kube-node-lease", node], "{.spec.renewTime}");
    let at_first = lease(hosts)?;
    eventually(2 * MINUTE, || match lease(hosts)? {
        same if same == at_first => Err(format!("{node} was last heard of at {same}")),
        _ => Ok(()),
    })
    .map_err(|error| format!("{error}\nits log ends:\n{}", hosts.log_tail(node, 40)))?;
    hosts.ready(node, MINUTE)
}

fn master(hosts: &Hosts, args: &[&str]) -> Result<String, String> {
    hosts.cli("master", args, 2 * MINUTE)?.ok()
}

fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("no JSON: {error}: {text}"))
}

fn write_objects(hosts: &Hosts) -> Outcome {
    let started = Instant::now();
    let write = |writer: usize| {
        let items: Vec<Value> = (0..OBJECTS / WRITERS)
            .map(|number| {
                json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": format!("many-{writer}-{number}") },
                    "data": { "number": number.to_string() } })
            })
            .collect();
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string();
        hosts.kubectl(&["create", "-f", "-"], &list)?.ok()
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        writers.into_iter().try_for_each(|writer| writer.join().map_err(|_| "a writer broke off")?.map(drop))
    })?;
    println!("  {OBJECTS} objects are written after {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Every object of the kinds that nobody changes while a cluster stands still.
fn dump(hosts: &Hosts) -> Result<Vec<Value>, String> {
    let kinds = "configmaps,secrets,serviceaccounts,clusterroles,clusterrolebindings,services";
    let list = parse(&hosts.kubectl(&["get", kinds, "-A", "-o", "json"], "")?.ok()?)?;
    let items = list["items"].as_array().cloned().unwrap_or_default();
    if items.len() <= OBJECTS { Err(format!("only {} objects", items.len())) } else { Ok(items) }
}

/// A service of the product on a machine; ends with this.
struct Running(Child);

impl Running {
    fn start(hosts: &Hosts, host: &str, args: &[&str]) -> Result<Self, String> {
        let mut command = hosts.command(host);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Self).map_err(|error| error.to_string())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Three who hold the cluster's secret, on two machines; any two of them give it.
struct Holders {
    running: Vec<Running>,
    urls: Vec<String>,
}

impl Holders {
    fn deal(hosts: &Hosts) -> Result<Self, String> {
        let deployment = std::fs::read_to_string(hosts.state("master").join("deployment.json"));
        let deployment = parse(&deployment.map_err(|error| error.to_string())?)?;
        let id = |name: &str| deployment[name].as_str().unwrap_or_default().to_owned();
        let (package, cluster, chain) = (id("package"), id("cluster"), format!("http://{MASTER}:9000"));
        let mut holders = Self { running: Vec::new(), urls: Vec::new() };
        let mut deal = vec!["committee".to_owned(), "deal".into(), "--threshold".into(), "2".into()];
        for (name, host, address, port) in
            [("a", "w1", WORKER_1, 9351), ("b", "w2", WORKER_2, 9352), ("c", "w1", WORKER_1, 9353)]
        {
            let (dir, listen) = (hosts.state(&format!("holder-{name}")), format!("{address}:{port}"));
            let custodian =
                ["--chain", &chain, "custodian", "--data-dir", &dir.to_string_lossy()].map(str::to_owned);
            let custodian: Vec<&str> = custodian.iter().map(String::as_str).collect();
            let key = hosts.cli(host, &[&custodian[..], &["--print-key"]].concat(), MINUTE)?.ok()?;
            let serve = ["--listen", &listen, "--package", &package, "--cluster", &cluster];
            holders.running.push(Running::start(hosts, host, &[&custodian[..], &serve].concat())?);
            deal.extend(["--holder".to_owned(), format!("{name}={}@http://{listen}", key.trim())]);
            holders.urls.push(format!("http://{listen}"));
        }
        let deal: Vec<&str> = deal.iter().map(String::as_str).collect();
        eventually(MINUTE, || master(hosts, &deal))?;
        Ok(holders)
    }
}
