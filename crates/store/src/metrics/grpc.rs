use std::sync::atomic::{AtomicU64, Ordering};

use tonic::Code;

const UNARY: &str = "unary";
const SERVER: &str = "server_stream";
const BOTH: &str = "bidi_stream";

/// Every method with its type; the busiest come first, because they are looked for from the beginning.
const METHODS: &[(&str, &str, &str)] = &[
    ("etcdserverpb.KV", "Range", UNARY),
    ("etcdserverpb.KV", "Txn", UNARY),
    ("etcdserverpb.KV", "Put", UNARY),
    ("etcdserverpb.KV", "DeleteRange", UNARY),
    ("etcdserverpb.KV", "Compact", UNARY),
    ("etcdserverpb.KV", "RangeStream", SERVER),
    ("etcdserverpb.Watch", "Watch", BOTH),
    ("etcdserverpb.Lease", "LeaseGrant", UNARY),
    ("etcdserverpb.Lease", "LeaseRevoke", UNARY),
    ("etcdserverpb.Lease", "LeaseKeepAlive", BOTH),
    ("etcdserverpb.Lease", "LeaseTimeToLive", UNARY),
    ("etcdserverpb.Lease", "LeaseLeases", UNARY),
    ("etcdserverpb.Maintenance", "Status", UNARY),
    ("etcdserverpb.Maintenance", "Alarm", UNARY),
    ("etcdserverpb.Maintenance", "Defragment", UNARY),
    ("etcdserverpb.Maintenance", "Hash", UNARY),
    ("etcdserverpb.Maintenance", "HashKV", UNARY),
    ("etcdserverpb.Maintenance", "Snapshot", SERVER),
    ("etcdserverpb.Maintenance", "MoveLeader", UNARY),
    ("etcdserverpb.Maintenance", "Downgrade", UNARY),
    ("etcdserverpb.Cluster", "MemberList", UNARY),
    ("etcdserverpb.Cluster", "MemberAdd", UNARY),
    ("etcdserverpb.Cluster", "MemberRemove", UNARY),
    ("etcdserverpb.Cluster", "MemberUpdate", UNARY),
    ("etcdserverpb.Cluster", "MemberPromote", UNARY),
    ("etcdserverpb.Auth", "AuthStatus", UNARY),
    ("etcdserverpb.Auth", "AuthEnable", UNARY),
    ("etcdserverpb.Auth", "AuthDisable", UNARY),
    ("etcdserverpb.Auth", "Authenticate", UNARY),
    ("etcdserverpb.Auth", "UserAdd", UNARY),
    ("etcdserverpb.Auth", "UserGet", UNARY),
    ("etcdserverpb.Auth", "UserList", UNARY),
    ("etcdserverpb.Auth", "UserDelete", UNARY),
    ("etcdserverpb.Auth", "UserChangePassword", UNARY),
    ("etcdserverpb.Auth", "UserGrantRole", UNARY),
    ("etcdserverpb.Auth", "UserRevokeRole", UNARY),
    ("etcdserverpb.Auth", "RoleAdd", UNARY),
    ("etcdserverpb.Auth", "RoleGet", UNARY),
    ("etcdserverpb.Auth", "RoleList", UNARY),
    ("etcdserverpb.Auth", "RoleDelete", UNARY),
    ("etcdserverpb.Auth", "RoleGrantPermission", UNARY),
    ("etcdserverpb.Auth", "RoleRevokePermission", UNARY),
];

/// gRPC's codes by their numbers, as `go-grpc-middleware` spells them.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// One of the methods that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Method(usize);

impl Method {
    /// The method of a path like `/etcdserverpb.KV/Range`, without its first slash.
    pub(crate) fn find(service: &str, method: &str) -> Option<Self> {
        METHODS.iter().position(|(s, m, _)| *m == method && *s == service).map(Self)
    }

    /// How many are counted.
    #[cfg(test)]
    pub(crate) fn count() -> usize {
        METHODS.len()
    }

    /// Whether it is one request and one response.
    pub(crate) fn is_unary(self) -> bool {
        METHODS[self.0].2 == UNARY
    }
}

/// Calls begun and ended, per method.
#[derive(Debug)]
pub(crate) struct Grpc {
    started: [AtomicU64; METHODS.len()],
    handled: [[AtomicU64; CODES.len()]; METHODS.len()],
}

impl Default for Grpc {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            started: std::array::from_fn(|_| zero()),
            handled: std::array::from_fn(|_| std::array::from_fn(|_| zero())),
        }
    }
}

impl Grpc {
    pub(crate) fn started(&self, method: Method) {
        self.started[method.0].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn handled(&self, method: Method, code: Code) {
        if let Some(count) = self.handled[method.0].get(code as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Labels and values of `grpc_server_started_total`.
    pub(crate) fn all_started(&self) -> impl Iterator<Item = (String, u64)> {
        METHODS.iter().zip(&self.started).map(|(method, count)| (labels(method), load(count)))
    }

    /// Labels and values of `grpc_server_handled_total`; codes that never occurred are left out, but for `OK`.
    pub(crate) fn all_handled(&self) -> impl Iterator<Item = (String, u64)> {
        METHODS.iter().zip(&self.handled).flat_map(|(method, counts)| {
            CODES.iter().zip(counts).filter_map(|(code, count)| {
                let count = load(count);
                let shown = count > 0 || *code == "OK";
                shown.then(|| (format!("grpc_code=\"{code}\",{}", labels(method)), count))
            })
        })
    }
}

fn labels((service, method, kind): &(&str, &str, &str)) -> String {
    format!("grpc_method=\"{method}\",grpc_service=\"{service}\",grpc_type=\"{kind}\"")
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_method_and_code() {
        let grpc = Grpc::default();
        let range = Method::find("etcdserverpb.KV", "Range").unwrap();
        assert!(range.is_unary() && Method::find("etcdserverpb.KV", "Watch").is_none());
        grpc.started(range);
        grpc.handled(range, Code::OutOfRange);
        let expected = "grpc_code=\"OutOfRange\",grpc_method=\"Range\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"";
        assert!(grpc.all_handled().any(|(labels, count)| labels == expected && count == 1));
        assert_eq!(CODES[Code::Unauthenticated as usize], "Unauthenticated");
    }
}
