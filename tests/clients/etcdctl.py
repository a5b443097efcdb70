"""Every etcdctl command that applies, on etcd and on another server; the words must be the same.

What belongs to one server alone is replaced before the comparison: ids of cluster, member and lease, sizes, hashes,
times, addresses, names, and whom a member talks to.
"""

import re
import subprocess
import sys
import time


class Etcdctl:
    """etcdctl 3.6 talking to one server."""

    def __init__(self, binary, endpoint, scratch):
        self.binary, self.endpoint, self.scratch = binary, endpoint, scratch
        self.leases = []

    def command(self, arguments):
        arguments = [argument.replace("LEASE", self.leases[-1] if self.leases else "none") for argument in arguments]
        arguments = [argument.replace("SCRATCH", self.scratch) for argument in arguments]
        return [self.binary, f"--endpoints={self.endpoint}", "--dial-timeout=5s", *arguments]

    def run(self, arguments, stdin=""):
        done = subprocess.run(
            self.command(arguments), input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        granted = re.search(r"lease ([0-9a-f]+) granted", done.stdout)
        if granted:
            self.leases.append(granted.group(1))
        if arguments[0] == "check" or "table" in arguments:
            # It prints how fast the machine is; tables are as wide as names and sizes.
            return f"exit {done.returncode}"
        words = self.same(done.stdout) + self.same("\n".join(self.errors(done.stderr)))
        return f"exit {done.returncode}\n{words}"

    @staticmethod
    def errors(stderr):
        """Errors without the log lines of the client library, which hold times and addresses."""
        return [line for line in stderr.splitlines() if not line.startswith("{")]

    def same(self, text):
        for lease in self.leases:
            text = text.replace(lease, "LEASE").replace(str(int(lease, 16)), "LEASE")
        text = text.replace(self.endpoint, "ENDPOINT").replace(self.scratch, "SCRATCH")
        text = re.sub(r'"(cluster_id|member_id|leader|raft_term|ID|memberID|hash)":\d+', r'"\1":N', text)
        text = re.sub(r'"(ClusterID|MemberID|Leader|DBSize|DBSizeInUse|Raft\w+|Hash)" : \d+', r'"\1" : N', text)
        text = re.sub(r'"name":"[^"]*",("peerURLs":\[[^]]*\],)?', "", text)
        text = re.sub(r"memberID:\d+", "memberID:N", text)
        text = re.sub(r"remaining\(\d+s\)", "remaining(N)", text)
        text = re.sub(r'"ttl":\d+', '"ttl":N', text)
        text = re.sub(r"took = [0-9.]+[mµn]?s", "took = T", text)
        text = re.sub(r"took [0-9.]+[mµn]?s", "took T", text)
        text = re.sub(r"(ENDPOINT, )\d+", r"\1HASH", text)
        return text


# (arguments, standard input). They build on each other.
COMMANDS = [
    (["version"], ""),
    (["endpoint", "status", "-w", "table"], ""),
    (["endpoint", "status", "-w", "fields"], ""),
    (["put", "a", "1"], ""),
    (["put", "a", "2", "--prev-kv"], ""),
    (["put", "b"], "from standard input"),
    (["put", "a", "--ignore-value"], ""),
    (["put", "nothing", "--ignore-value"], ""),
    (["put", "", "x"], ""),
    (["put", "--", "-dash", "x"], ""),
    (["get", "a"], ""),
    (["get", "nothing"], ""),
    (["get", "a", "-w", "json"], ""),
    (["get", "a", "-w", "fields"], ""),
    (["get", "a", "--hex"], ""),
    (["get", "a", "--print-value-only"], ""),
    (["get", "", "--prefix"], ""),
    (["get", "", "--prefix", "--keys-only"], ""),
    (["get", "", "--prefix", "--count-only", "-w", "fields"], ""),
    (["get", "", "--from-key", "--limit=1"], ""),
    (["get", "a", "c", "--sort-by=VALUE", "--order=DESCEND"], ""),
    (["get", "", "--prefix", "--sort-by=MODIFY", "--limit=2"], ""),
    (["get", "", "--prefix", "--min-mod-rev=3", "--max-mod-rev=4"], ""),
    (["get", "", "--prefix", "--min-create-rev=3"], ""),
    (["get", "a", "--rev=2"], ""),
    (["get", "a", "--rev=99"], ""),
    (["get", "a", "--consistency=s"], ""),
    (["get"], ""),
    (["put", "j", "1", "-w", "json"], ""),
    (["del", "j", "-w", "json"], ""),
    (["get", "a", "-w", "table"], ""),
    (["del", "a", "--prev-kv"], ""),
    (["del", "nothing"], ""),
    (["put", "p/1", "x"], ""),
    (["put", "p/2", "y"], ""),
    (["del", "p/", "--prefix"], ""),
    (["del", "z", "--from-key"], ""),
    (["put", "t", "1"], ""),
    (["txn"], 'value("t") = "1"\n\nput t "2"\nget t\n\nget t\n\n'),
    (["txn"], 'value("t") = "1"\n\nput t "3"\n\nget t\n\n'),
    (["txn"], 'mod("t") > "0"\nversion("t") = "2"\ncreate("t") > "1"\n\nget t\ndel t\n\n\n'),
    (["txn", "-w", "json"], 'create("t") = "0"\n\nput t again\n\n\n'),
    (["txn"], '\nput t "1"\nput t "2"\n\n\n'),
    (["txn"], "nonsense\n\n\n\n"),
    (["lease", "grant", "100"], ""),
    (["lease", "grant", "0"], ""),
    (["lease", "revoke", "LEASE"], ""),
    (["lease", "grant", "9000000001"], ""),
    (["lease", "grant", "300"], ""),
    (["put", "leased", "x", "--lease=LEASE"], ""),
    (["put", "leased", "y", "--ignore-lease"], ""),
    (["put", "leased", "y", "--lease=1234"], ""),
    (["get", "leased", "-w", "fields"], ""),
    (["lease", "timetolive", "LEASE"], ""),
    (["lease", "timetolive", "LEASE", "--keys"], ""),
    (["lease", "timetolive", "1234"], ""),
    (["lease", "keep-alive", "--once", "LEASE"], ""),
    (["lease", "keep-alive", "--once", "1234"], ""),
    (["lease", "list"], ""),
    (["lease", "list", "-w", "json"], ""),
    (["lease", "revoke", "LEASE"], ""),
    (["lease", "revoke", "LEASE"], ""),
    (["get", "leased"], ""),
    (["compaction", "5"], ""),
    (["compaction", "5"], ""),
    (["compaction", "999"], ""),
    (["compaction", "10", "--physical"], ""),
    (["get", "a", "--rev=6"], ""),
    (["watch", "a", "--rev=3"], ""),
    (["member", "list", "-w", "json"], ""),
    (["member", "remove", "1234"], ""),
    (["member", "promote", "1234"], ""),
    (["member", "update", "1234", "--peer-urls=http://127.0.0.1:1"], ""),
    (["endpoint", "health"], ""),
    (["endpoint", "health", "--cluster"], ""),
    (["endpoint", "health", "-w", "table"], ""),
    (["endpoint", "hashkv"], ""),
    (["endpoint", "hashkv", "--rev=12", "-w", "json"], ""),
    (["endpoint", "status", "-w", "fields"], ""),
    (["member", "list", "-w", "table"], ""),
    (["member", "add", "other", "--peer-urls=nonsense"], ""),
    (["alarm", "list"], ""),
    (["alarm", "disarm"], ""),
    (["defrag"], ""),
    (["snapshot", "save", "SCRATCH/snapshot.db"], ""),
    (["move-leader", "1234"], ""),
    (["downgrade", "validate", "3.4"], ""),
    (["downgrade", "validate", "nonsense"], ""),
    (["downgrade", "enable", "3.4"], ""),
    (["downgrade", "enable", "nonsense"], ""),
    (["downgrade", "cancel"], ""),
    (["auth", "status"], ""),
    (["auth", "enable"], ""),
    (["auth", "disable"], ""),
    (["user", "list"], ""),
    (["user", "get", "nobody"], ""),
    (["user", "delete", "nobody"], ""),
    (["user", "passwd", "nobody", "--interactive=false"], "secret\n"),
    (["user", "add", "", "--no-password"], ""),
    (["role", "add", ""], ""),
    (["user", "grant-role", "nobody", "none"], ""),
    (["user", "revoke-role", "nobody", "none"], ""),
    (["role", "list"], ""),
    (["role", "get", "none"], ""),
    (["role", "delete", "none"], ""),
    (["role", "grant-permission", "none", "read", "a"], ""),
    (["role", "revoke-permission", "none", "a"], ""),
    (["get", "", "--prefix", "--user=root:secret"], ""),
    (["get", "", "--prefix", "-w", "json"], ""),
    (["check", "datascale", "--load=s"], ""),
]

# Watches that live while these writes happen.
WATCHES = [
    (["watch", "w", "--prefix", "--prev-kv"], [["put", "w1", "x"], ["put", "w1", "y"], ["del", "w", "--prefix"]]),
    (["watch", "w1", "-w", "json"], [["put", "w1", "x"], ["put", "w2", "y"], ["del", "w1"]]),
    (["watch", "w1", "--", "sh", "-c", "echo $ETCD_WATCH_KEY $ETCD_WATCH_VALUE"], [["put", "w1", "run"]]),
]


def watched(client, arguments, writes):
    """What a watch prints while `writes` happen."""
    process = subprocess.Popen(client.command(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(1)
        for write in writes:
            client.run(write)
        time.sleep(1)
    finally:
        process.terminate()
        told, errors = process.communicate(timeout=10)
    return client.same(told) + client.same("\n".join(client.errors(errors)))


def held(client):
    """A lock and an election, held while a command runs."""
    lock = client.run(["lock", "mutex", "echo", "locked"])
    elect = subprocess.Popen(client.command(["elect", "race", "me"]), stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(1)
        leader = subprocess.run(
            ["timeout", "-s", "INT", "1", *client.command(["elect", "-l", "race"])],
            capture_output=True, text=True, timeout=20, check=False,
        ).stdout
    finally:
        elect.terminate()
        elect.communicate(timeout=10)
    return lock + re.sub(r"race/[0-9a-f]+", "race/LEASE", leader)


def mirrored(client):
    """make-mirror copies a prefix to another; here to the same server."""
    process = subprocess.Popen(
        client.command(["make-mirror", "--prefix=m/", "--dest-prefix=copy/", client.endpoint]),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(1)
        client.run(["put", "m/1", "x"])
        time.sleep(1)
    finally:
        process.terminate()
        process.wait(timeout=10)
    return client.run(["get", "copy/", "--prefix"])


def main():
    binary, reference, subject, scratch = sys.argv[1:5]
    clients = [Etcdctl(binary, reference, f"{scratch}/etcd"), Etcdctl(binary, subject, f"{scratch}/subject")]
    asked, different = 0, []

    def compare(name, ask):
        nonlocal asked
        asked += 1
        theirs, ours = (ask(client) for client in clients)
        if theirs != ours:
            different.append(name)
            print(f"DIFFERS etcdctl {name}\n--- etcd\n{theirs}\n--- subject\n{ours}")

    for arguments, stdin in COMMANDS:
        compare(" ".join(arguments), lambda client: client.run(arguments, stdin))
    for arguments, writes in WATCHES:
        compare(" ".join(arguments), lambda client: watched(client, arguments, writes))
    compare("lock and elect", held)
    compare("make-mirror", mirrored)
    print(f"etcdctl: compared {asked} commands: {len(different)} differ")
    sys.exit(1 if different else 0)


main()
