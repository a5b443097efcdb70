package robustness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/k3s-daas/k3s-daas/tests/third-party/server"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// TestRangeStream asks the store and etcd itself, of the release that brought this call, for the same streams.
//
// How a stream is cut is each server's own business; that its parts merge to the same answer is not, nor which parts
// carry the header, nor what is refused in which words.
func TestRangeStream(t *testing.T) {
	if os.Getenv("STORE_FAULT") != "" {
		t.Skip("the faults are for the checker to notice")
	}
	t.Parallel()
	servers := [2]pb.KVClient{dial(t, etcd(t)), dial(t, server.StartOnSocket(t).Endpoint)}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i := range 60 {
		// Beyond a message of etcd's and beyond a chunk of ours.
		put := &pb.PutRequest{Key: fmt.Appendf(nil, "k%02d", i), Value: make([]byte, 50_000*(i%3)+i)}
		for _, kv := range servers {
			if _, err := kv.Put(ctx, proto.Clone(put).(*pb.PutRequest)); err != nil {
				t.Fatal(err)
			}
			if i%7 == 0 {
				if _, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("k00"), Value: []byte("again")}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, kv := range servers {
		if _, err := kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: []byte("k31")}); err != nil {
			t.Fatal(err)
		}
		if _, err := kv.Compact(ctx, &pb.CompactionRequest{Revision: 20, Physical: true}); err != nil {
			t.Fatal(err)
		}
	}
	for _, request := range rangeStreams() {
		theirs, ours := streamed(ctx, servers[0], request), streamed(ctx, servers[1], request)
		if theirs != ours {
			t.Errorf("RangeStream %v\n  etcd: %.400s\n  ours: %.400s", request, theirs, ours)
		}
	}
}

func rangeStreams() []*pb.RangeRequest {
	k, l := []byte("k"), []byte("l")
	of := func(change func(*pb.RangeRequest)) *pb.RangeRequest {
		request := &pb.RangeRequest{Key: k, RangeEnd: l}
		change(request)
		return request
	}
	requests := []*pb.RangeRequest{
		{}, {Key: k}, {Key: []byte("k05")}, {Key: k, RangeEnd: l}, {Key: k, RangeEnd: []byte{0}}, {Key: []byte{0}, RangeEnd: []byte{0}},
		{Key: l, RangeEnd: k}, {Key: []byte("nothing")},
		of(func(r *pb.RangeRequest) { r.CountOnly = true }),
		of(func(r *pb.RangeRequest) { r.CountOnly, r.Limit = true, 5 }),
		of(func(r *pb.RangeRequest) { r.KeysOnly = true }),
		of(func(r *pb.RangeRequest) { r.Serializable = true }),
		of(func(r *pb.RangeRequest) { r.SortOrder = 7 }),
		of(func(r *pb.RangeRequest) { r.SortTarget = 7 }),
		of(func(r *pb.RangeRequest) { r.SortOrder, r.MinModRevision = pb.RangeRequest_DESCEND, 3 }),
	}
	for _, limit := range []int64{-1, 1, 5, 10, 11, 30, 59, 60, 1000} {
		requests = append(requests, of(func(r *pb.RangeRequest) { r.Limit = limit }))
	}
	for _, revision := range []int64{-1, 1, 19, 20, 21, 45, 70, 9999} {
		requests = append(requests, of(func(r *pb.RangeRequest) { r.Revision = revision }),
			of(func(r *pb.RangeRequest) { r.Revision, r.Limit = revision, 7 }),
			of(func(r *pb.RangeRequest) { r.Revision, r.CountOnly = revision, true }))
	}
	for order := range 3 {
		for target := range 5 {
			request := of(func(r *pb.RangeRequest) {
				r.SortOrder, r.SortTarget = pb.RangeRequest_SortOrder(order), pb.RangeRequest_SortTarget(target)
			})
			if order == 0 && target != 0 {
				// A target without an order: etcd sorts every ten keys by themselves and then goes on behind the last, which
				// loses keys when there are more.
				request.RangeEnd = []byte("k08")
			}
			requests = append(requests, request)
		}
	}
	for _, bound := range []int64{-1, 1, 30} {
		requests = append(requests,
			of(func(r *pb.RangeRequest) { r.MinModRevision = bound }), of(func(r *pb.RangeRequest) { r.MaxModRevision = bound }),
			of(func(r *pb.RangeRequest) { r.MinCreateRevision = bound }), of(func(r *pb.RangeRequest) { r.MaxCreateRevision = bound }))
	}
	return requests
}

// streamed is the merged answer, or the refusal, as text.
func streamed(ctx context.Context, kv pb.KVClient, request *pb.RangeRequest) string {
	stream, err := kv.RangeStream(ctx, proto.Clone(request).(*pb.RangeRequest))
	if err != nil {
		return err.Error()
	}
	merged, ended := &pb.RangeResponse{}, false
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Sprintf("%v: %s", status.Code(err), status.Convert(err).Message())
		}
		answer := part.GetRangeResponse()
		if ended || (answer.Header == nil && (answer.More || answer.Count != 0)) {
			return fmt.Sprintf("header, more and count belong to the last part alone: %v", part)
		}
		ended = answer.Header != nil
		proto.Merge(merged, answer)
	}
	if !ended {
		return "no part with a header"
	}
	merged.Header = &pb.ResponseHeader{Revision: merged.Header.Revision}
	return prototext.MarshalOptions{}.Format(merged)
}

func dial(t *testing.T, target string) pb.KVClient {
	t.Helper()
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return pb.NewKVClient(connection)
}

// etcd runs etcd itself until the test ends; tells where.
func etcd(t *testing.T) string {
	t.Helper()
	config := embed.NewConfig()
	config.Dir, config.LogLevel, config.Logger = t.TempDir(), "error", "zap"
	anywhere := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config.ListenClientUrls, config.AdvertiseClientUrls = anywhere, anywhere
	config.ListenPeerUrls, config.AdvertisePeerUrls = anywhere, anywhere
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	running, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Close)
	select {
	case <-running.Server.ReadyNotify():
	case <-time.After(time.Minute):
		t.Fatal("etcd does not get ready")
	}
	return running.Clients[0].Addr().String()
}
