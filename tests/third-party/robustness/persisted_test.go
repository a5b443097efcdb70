package robustness

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os/exec"
	"testing"

	"github.com/k3s-daas/k3s-daas/tests/third-party/server"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/datadir"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/tests/v3/robustness/model"
	"go.etcd.io/etcd/tests/v3/robustness/report"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
)

// persistedRequests reads a killed server's sealed log. It takes the way through etcd's own log format, so that the
// checker's own reading of requests is what decides what they mean.
func persistedRequests(t *testing.T, stopped *server.Server) []model.EtcdRequest {
	t.Helper()
	home := t.TempDir()
	log, err := wal.Create(zap.NewNop(), datadir.ToWALDir(home), nil)
	if err != nil {
		t.Fatal(err)
	}
	var index uint64
	for _, request := range sealedRequests(t, stopped) {
		if request.Alarm != nil {
			// The checker has no model of alarms, and does not look at them in etcd's log either.
			continue
		}
		data, err := proto.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		index++
		entry := &raftpb.Entry{Term: proto.Uint64(1), Index: proto.Uint64(index), Data: data}
		state := &raftpb.HardState{Term: proto.Uint64(1), Commit: proto.Uint64(index)}
		if err := log.Save(state, []*raftpb.Entry{entry}); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	requests, err := report.PersistedRequests(zap.NewNop(), []string{home})
	if err != nil {
		t.Fatal(err)
	}
	return requests
}

// sealedRequests opens the sealed log with the store's own code.
func sealedRequests(t *testing.T, stopped *server.Server) []*pb.InternalRaftRequest {
	t.Helper()
	command := exec.Command(server.Binary(t, "requests"), stopped.DataDir())
	var failure bytes.Buffer
	command.Stderr = &failure
	printed, err := command.Output()
	if err != nil {
		t.Fatalf("the log cannot be read: %v: %s", err, failure.String())
	}
	var requests []*pb.InternalRaftRequest
	reader := bufio.NewReader(bytes.NewReader(printed))
	for {
		request := &pb.InternalRaftRequest{}
		err := protodelim.UnmarshalFrom(reader, request)
		if errors.Is(err, io.EOF) {
			return requests
		}
		if err != nil {
			t.Fatal(err)
		}
		requests = append(requests, request)
	}
}
