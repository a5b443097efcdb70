package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
)

// The plain pages: status, type and text.
func pages() []question {
	page := func(method, path string) question {
		return question{method + " " + path, func(ctx context.Context, s *server) string {
			request, err := http.NewRequestWithContext(ctx, method, "http://"+s.address+path, nil)
			if err != nil {
				return err.Error()
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				return err.Error()
			}
			defer answer.Body.Close()
			body, _ := io.ReadAll(answer.Body)
			// etcd tells checks in the order of a Go map.
			lines := strings.Split(string(body), "\n")
			sort.Strings(lines)
			return fmt.Sprintf("%d %s %q", answer.StatusCode, answer.Header.Get("Content-Type"), lines)
		}}
	}
	return []question{
		page("GET", "/health"),
		page("GET", "/health?exclude=NOSPACE"),
		page("GET", "/livez"),
		page("GET", "/livez?verbose"),
		page("GET", "/livez/serializable_read"),
		page("GET", "/readyz"),
		page("GET", "/readyz?verbose"),
		page("GET", "/readyz?verbose&exclude=non_learner"),
		page("GET", "/readyz/linearizable_read"),
		page("GET", "/readyz/nothing"),
		page("GET", "/version"),
		page("GET", "/nowhere"),
		page("POST", "/health"),
		page("POST", "/livez"),
		page("POST", "/version"),
	}
}

// The pages that say what is wrong.
func sickPages() []question {
	var sick []question
	for _, healthy := range pages()[:10] {
		sick = append(sick, question{healthy.name + " with an alarm", healthy.ask})
	}
	return sick
}

// Metrics that dashboards and alerts for etcd look at.
var watchedMetrics = []string{
	"etcd_server_has_leader", "etcd_server_leader_changes_seen_total", "etcd_server_proposals_committed_total",
	"etcd_server_proposals_applied_total", "etcd_server_proposals_pending", "etcd_server_proposals_failed_total",
	"etcd_server_slow_apply_total", "etcd_server_quota_backend_bytes", "etcd_server_version", "etcd_cluster_version",
	"etcd_server_health_failures", "etcd_server_health_success",
	"etcd_disk_wal_fsync_duration_seconds", "etcd_disk_backend_commit_duration_seconds",
	"etcd_mvcc_db_total_size_in_bytes", "etcd_mvcc_db_total_size_in_use_in_bytes", "etcd_mvcc_put_total",
	"etcd_debugging_mvcc_keys_total", "etcd_debugging_mvcc_watcher_total", "etcd_debugging_mvcc_watch_stream_total",
	"etcd_debugging_mvcc_slow_watcher_total", "etcd_debugging_mvcc_pending_events_total",
	"etcd_network_client_grpc_received_bytes_total", "etcd_network_client_grpc_sent_bytes_total",
	"grpc_server_started_total", "grpc_server_handled_total",
	"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_max_fds",
}

// Whether the subject has the watched metrics, and gives all that it has etcd's type.
func metrics(reference, subject *server) []string {
	theirs, ours := metricTypes(reference), metricTypes(subject)
	var wrong []string
	for _, name := range watchedMetrics {
		if ours[name] == "" {
			wrong = append(wrong, name+" is missing")
		}
	}
	for name, kind := range ours {
		if !strings.HasPrefix(name, "k3s_daas_") && theirs[name] != kind {
			wrong = append(wrong, fmt.Sprintf("%s is a %s, in etcd a %q", name, kind, theirs[name]))
		}
	}
	sort.Strings(wrong)
	return wrong
}

func metricTypes(s *server) map[string]string {
	types := map[string]string{}
	answer, err := http.Get("http://" + s.address + "/metrics")
	if err != nil {
		return types
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 4 && words[1] == "TYPE" {
			types[words[2]] = words[3]
		}
	}
	return types
}
