//! What runs on the nodes for the scenarios.

use std::time::Duration;

use crate::command::eventually;
use crate::hosts::{Hosts, workers};

const IMAGE: &str = "k3s-daas/busybox:1";
pub(crate) const PORT: u16 = 8080;
const CHECK_LIMIT: Duration = Duration::from_secs(60);

/// `ask ADDRESS PORT WORD` in a script: succeeds when the web server there says WORD. `resolve NAME` prints the first
/// address of a name.
const FUNCTIONS: &str = r#"
ask() { printf 'GET / HTTP/1.0\r\n\r\n' | busybox nc -w 3 "$1" "$2" | busybox grep -q "$3"; }
resolve() { busybox nslookup "$1" | busybox awk '/^Name/ { getline; print $2; exit }'; }
"#;

/// A web server on every node that says its node's name, a service over them, and one for each pod's own name.
pub(crate) fn web_servers(hosts: &Hosts) -> Result<(), String> {
    let mut manifest = format!(
        r#"
apiVersion: v1
kind: Service
metadata: {{ name: web }}
spec: {{ selector: {{ app: web }}, ports: [{{ name: http, port: 80, targetPort: {PORT} }}] }}
---
apiVersion: v1
kind: Service
metadata: {{ name: peers }}
spec: {{ clusterIP: None, selector: {{ app: web }}, ports: [{{ name: http, port: {PORT} }}] }}
"#
    );
    for (node, _) in workers() {
        let script = format!(
            "mkdir -p /tmp/www && echo says-{node} > /tmp/www/index.html && echo says-{node} && exec httpd -f -p {PORT} -h /tmp/www"
        );
        manifest += &format!("---\n{}", pod(&format!("web-{node}"), node, &script, "Always", ""));
    }
    hosts.apply(&manifest)?;
    for (node, _) in workers() {
        hosts
            .kubectl(&["wait", "--for=condition=Ready", "pod", &format!("web-{node}"), "--timeout=60s"], "")?
            .ok()?;
    }
    Ok(())
}

/// The address of the web server on `node`.
pub(crate) fn web_address(hosts: &Hosts, node: &str) -> Result<String, String> {
    hosts.get(&["pod", &format!("web-{node}")], "{.status.podIP}")
}

/// Runs a script in a pod on `node` and waits for its success, which kubectl sees without reaching the node.
pub(crate) fn check(hosts: &Hosts, name: &str, node: &str, script: &str) -> Result<(), String> {
    let script = format!("{FUNCTIONS}{script}");
    hosts.apply(&pod(name, node, &script, "Never", ""))?;
    let ended = eventually(CHECK_LIMIT, || match hosts.get(&["pod", name], "{.status.phase}")?.as_str() {
        "Succeeded" => Ok(true),
        "Failed" => Ok(false),
        other => Err(format!("the pod {name} on {node} is {other}")),
    })?;
    let said = hosts.get(&["pod", name], "{.status.containerStatuses[0].state.terminated.message}")?;
    hosts.kubectl(&["delete", "pod", name, "--grace-period=0", "--force"], "")?.ok()?;
    if ended { Ok(()) } else { Err(format!("the script of {name} on {node} failed at: {said}")) }
}

/// A manifest. What the container writes to /dev/termination-log comes back as its message; `more` is put into the
/// pod's `spec`.
pub(crate) fn pod(name: &str, node: &str, script: &str, restart: &str, more: &str) -> String {
    let script = serde_json::json!(script);
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{ name: {name}, labels: {{ app: {} }} }}
spec:
  restartPolicy: {restart}
  terminationGracePeriodSeconds: 0
  nodeSelector: {{ kubernetes.io/hostname: {node} }}
  containers:
  - name: main
    image: {IMAGE}
    imagePullPolicy: Never
    command: [/bin/busybox, sh, -c, {script}]
{more}
"#,
        name.split('-').next().unwrap_or(name)
    )
}
