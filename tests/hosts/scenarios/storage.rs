use std::time::Duration;

use crate::Outcome;
use crate::command::eventually;
use crate::hosts::Hosts;
use crate::pods::pod;

const CLAIM: &str = r#"
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } }
"#;

/// What one pod wrote, the next one reads; with the claim the directory goes.
pub(crate) fn volume_survives(hosts: &mut Hosts) -> Outcome {
    let mounts = "    volumeMounts: [{ name: data, mountPath: /data }]\n  volumes: [{ name: data, persistentVolumeClaim: { claimName: data } }]";
    hosts.apply(CLAIM)?;
    hosts.apply(&pod("writer", "w1", "echo kept > /data/word && sync", "Never", mounts))?;
    done(hosts, "writer")?;
    hosts.kubectl(&["delete", "pod", "writer"], "")?.ok()?;
    hosts.apply(&pod("reader", "w1", "grep kept /data/word", "Never", mounts))?;
    done(hosts, "reader")?;
    let volume = hosts.get(&["pvc", "data"], "{.spec.volumeName}")?;
    let path = hosts.get(&["pv", &volume], "{.spec.hostPath.path}")?;
    if !std::path::Path::new(&path).join("word").exists() {
        return Err(format!("{path} does not hold what was written"));
    }
    hosts.kubectl(&["delete", "pod", "reader"], "")?.ok()?;
    hosts.kubectl(&["delete", "pvc", "data", "--timeout=30s"], "")?.ok()?;
    eventually(Duration::from_secs(60), || {
        if std::path::Path::new(&path).exists() { Err(format!("{path} is still there")) } else { Ok(()) }
    })
}

fn done(hosts: &Hosts, name: &str) -> Outcome {
    eventually(Duration::from_secs(60), || match hosts.get(&["pod", name], "{.status.phase}")?.as_str() {
        "Succeeded" => Ok(()),
        phase => Err(format!("{name} is {phase}: {}", hosts.kubectl(&["describe", "pod", name], "")?)),
    })
}
