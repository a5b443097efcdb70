use std::time::Duration;

use base64::Engine as _;
use serde_json::json;

use crate::Outcome;
use crate::command::eventually;
use crate::hosts::{HIDDEN, Hosts};
use crate::pods::PORT;

const LIMIT: Duration = Duration::from_secs(40);
const LOCAL_PORT: u16 = 18_080;
const HOOK_PORT: u16 = 8_443;

/// `kubectl port-forward` to a pod behind NAT.
pub(crate) fn port_forward(hosts: &mut Hosts) -> Outcome {
    let kubectl = hosts.kubectl_line();
    let script = format!(
        "{kubectl} port-forward pod/web-{HIDDEN} {LOCAL_PORT}:{PORT} >/dev/null 2>&1 & forward=$!
         for i in 1 2 3 4 5 6 7 8 9 10; do
             printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 3 127.0.0.1 {LOCAL_PORT} | grep says-{HIDDEN} && break
             sleep 1
         done
         kill $forward"
    );
    let said = hosts.shell("master", &script, LIMIT)?.ok()?;
    if said.contains(&format!("says-{HIDDEN}")) { Ok(()) } else { Err(format!("through it came {said:?}")) }
}

/// `kubectl cp` into a pod behind NAT and out of it again: 3 MiB, the same bytes.
pub(crate) fn copy(hosts: &mut Hosts) -> Outcome {
    let dir = hosts.state("copies");
    std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    let (there, back) = (dir.join("there"), dir.join("back"));
    let bytes: Vec<u8> =
        (0..3_u32 << 18).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(&there, &bytes).map_err(|error| error.to_string())?;
    let pod = format!("web-{HIDDEN}:/tmp/copied");
    hosts.kubectl(&["cp", &there.to_string_lossy(), &pod], "")?.ok()?;
    hosts.kubectl(&["cp", &pod, &back.to_string_lossy()], "")?.ok()?;
    let same = std::fs::read(&back).is_ok_and(|copied| copied == bytes);
    if same { Ok(()) } else { Err("what came back is not what went there".into()) }
}

/// The apiserver asks a webhook whose pod is behind NAT, and does what it says.
pub(crate) fn webhook(hosts: &mut Hosts) -> Outcome {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let dir = hosts.state("hook");
    std::fs::create_dir_all(&dir).map_err(|error| text(&error))?;
    let cert =
        rcgen::generate_simple_self_signed(["hook.default.svc".to_owned()]).map_err(|error| text(&error))?;
    for (name, content) in [
        ("server.py", HOOK.to_owned()),
        ("cert.pem", cert.cert.pem()),
        ("key.pem", cert.signing_key.serialize_pem()),
    ] {
        std::fs::write(dir.join(name), content).map_err(|error| text(&error))?;
    }
    // The image has no TLS server; the machine's Python is one, and its file system is mounted into the pod.
    let python = hosts.shell(HIDDEN, "python3 -c 'import sys; print(sys.executable)'", LIMIT)?.ok()?;
    let server = dir.join("server.py").display().to_string();
    let command = ["/bin/busybox", "chroot", "/host", python.trim(), &server];
    let labels = json!({ "app": "hook" });
    let objects = json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "hook", "labels": labels }, "spec": {
            "nodeSelector": { "kubernetes.io/hostname": HIDDEN },
            "terminationGracePeriodSeconds": 0,
            "volumes": [{ "name": "machine", "hostPath": { "path": "/" } }],
            "containers": [{
                "name": "main", "image": "k3s-daas/busybox:1", "imagePullPolicy": "Never", "command": command,
                "volumeMounts": [{ "name": "machine", "mountPath": "/host", "readOnly": true }],
            }],
        } },
        { "apiVersion": "v1", "kind": "Service", "metadata": { "name": "hook" },
          "spec": { "selector": labels, "ports": [{ "port": 443, "targetPort": HOOK_PORT }] } },
        { "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
          "metadata": { "name": "hook" }, "webhooks": [{
            "name": "hook.k3s-daas.io", "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 5,
            "clientConfig": {
                "service": { "name": "hook", "namespace": "default" },
                "caBundle": base64::engine::general_purpose::STANDARD.encode(cert.cert.pem()),
            },
            "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"] }],
            "objectSelector": { "matchLabels": { "ask": "hook" } },
        }] },
    ] });
    hosts.apply(&objects.to_string())?;
    hosts.kubectl(&["wait", "--for=condition=Ready", "pod/hook", "--timeout=60s"], "")?.ok()?;
    let asked = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "asked", "labels": { "ask": "hook" } } });
    let asked = asked.to_string();
    eventually(LIMIT, || {
        hosts.kubectl(&["create", "-f", "-"], &asked)?.refused_with("the hook behind NAT says no")
    })?;
    hosts
        .kubectl(&["delete", "validatingwebhookconfiguration/hook", "pod/hook", "service/hook"], "")?
        .ok()
        .map(drop)
}

/// A webhook that refuses everything.
const HOOK: &str = r#"
import http.server, json, os, ssl

class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = {"message": "the hook behind NAT says no"}
        response = {"uid": review["request"]["uid"], "allowed": False, "status": status}
        answer = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

here = os.path.dirname(os.path.abspath(__file__))
server = http.server.ThreadingHTTPServer(("", 8443), Hook)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.path.join(here, "cert.pem"), os.path.join(here, "key.pem"))
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;
