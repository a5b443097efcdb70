package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// A watch stream, and what came on it as text.
type stream struct {
	watch pb.Watch_WatchClient
	lines chan string
}

func openStream(ctx context.Context, s *server) *stream {
	watch, err := s.watch.Watch(ctx)
	if err != nil {
		return &stream{lines: make(chan string)}
	}
	opened := &stream{watch, make(chan string, 1000)}
	go func() {
		for {
			answer, err := watch.Recv()
			if err != nil {
				opened.lines <- told(answer, err)
				return
			}
			anonymous(answer.Header)
			opened.lines <- strings.TrimSpace(answer.String())
		}
	}()
	return opened
}

func (s *stream) create(request *pb.WatchCreateRequest) {
	_ = s.watch.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: request}})
}

func (s *stream) cancel(id int64) {
	_ = s.watch.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}})
}

func (s *stream) progress() {
	_ = s.watch.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}})
}

// The next `count` answers; fewer when the server stays silent.
func (s *stream) next(count int) string {
	var lines []string
	for range count {
		select {
		case line := <-s.lines:
			lines = append(lines, line)
		case <-time.After(2 * time.Second):
			return strings.Join(append(lines, "silence"), "; ")
		}
	}
	return strings.Join(lines, "; ")
}

// Whether nothing more comes for a moment.
func (s *stream) silent() string {
	select {
	case line := <-s.lines:
		return line
	case <-time.After(150 * time.Millisecond):
		return "silence"
	}
}

func watches() []question {
	w, x := []byte("w"), []byte("x")
	write := func(ctx context.Context, s *server, key, value string) {
		_, _ = s.kv.Put(ctx, &pb.PutRequest{Key: []byte(key), Value: []byte(value)})
	}
	on := func(name string, talk func(context.Context, *server, *stream) string) question {
		return question{"watch " + name, func(ctx context.Context, s *server) string {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			return talk(ctx, s, openStream(ctx, s))
		}}
	}
	single := func(name string, count int, request *pb.WatchCreateRequest) question {
		return on(name, func(_ context.Context, _ *server, stream *stream) string {
			stream.create(request)
			return stream.next(count) + "; then " + stream.silent()
		})
	}
	return []question{
		put("w1", &pb.PutRequest{Key: []byte("w1"), Value: []byte("1")}),
		put("w1", &pb.PutRequest{Key: []byte("w1"), Value: []byte("2")}),
		put("w2", &pb.PutRequest{Key: []byte("w2"), Value: []byte("3")}),
		remove("w1", &pb.DeleteRangeRequest{Key: []byte("w1")}),
		txn("both", &pb.TxnRequest{Success: []*pb.RequestOp{opPut("w1", "4"), opPut("w2", "5"), opPut("w3", "6")}}),
		remove("all", &pb.DeleteRangeRequest{Key: []byte("w"), RangeEnd: x}),
		single("from the compact revision on", 2, &pb.WatchCreateRequest{Key: []byte("r"), RangeEnd: []byte("s"), StartRevision: 20}),
		single("history", 2, &pb.WatchCreateRequest{Key: w, RangeEnd: x, StartRevision: 21}),
		single("history with prev_kv", 2, &pb.WatchCreateRequest{Key: w, RangeEnd: x, StartRevision: 21, PrevKv: true}),
		single("one key", 2, &pb.WatchCreateRequest{Key: []byte("w2"), StartRevision: 21, PrevKv: true}),
		single("no puts", 2, &pb.WatchCreateRequest{Key: w, RangeEnd: x, StartRevision: 21, Filters: []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NOPUT}}),
		single("no deletions", 2, &pb.WatchCreateRequest{Key: w, RangeEnd: x, StartRevision: 21, Filters: []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NODELETE}}),
		single("neither", 1, &pb.WatchCreateRequest{Key: w, RangeEnd: x, StartRevision: 21, Filters: []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NODELETE, pb.WatchCreateRequest_NOPUT}}),
		single("unknown filter", 2, &pb.WatchCreateRequest{Key: w, RangeEnd: x, StartRevision: 21, Filters: []pb.WatchCreateRequest_FilterType{7}}),
		single("from a key on", 2, &pb.WatchCreateRequest{Key: w, RangeEnd: []byte{0}, StartRevision: 21}),
		single("everything", 1, &pb.WatchCreateRequest{RangeEnd: []byte{0}}),
		single("no key", 1, &pb.WatchCreateRequest{}),
		single("empty range", 1, &pb.WatchCreateRequest{Key: x, RangeEnd: w}),
		single("range of nothing", 1, &pb.WatchCreateRequest{Key: x, RangeEnd: x}),
		single("compacted", 2, &pb.WatchCreateRequest{Key: w, RangeEnd: x, StartRevision: 3}),
		single("negative", 1, &pb.WatchCreateRequest{Key: w, RangeEnd: x, StartRevision: -3}),
		single("future", 1, &pb.WatchCreateRequest{Key: w, RangeEnd: x, StartRevision: 9999}),
		single("chosen id", 1, &pb.WatchCreateRequest{Key: w, WatchId: 77}),
		on("ids", func(_ context.Context, _ *server, stream *stream) string {
			stream.create(&pb.WatchCreateRequest{Key: w, WatchId: 1})
			stream.create(&pb.WatchCreateRequest{Key: w})
			stream.create(&pb.WatchCreateRequest{Key: w})
			stream.create(&pb.WatchCreateRequest{Key: w, WatchId: 2})
			stream.create(&pb.WatchCreateRequest{Key: w, WatchId: 1})
			stream.cancel(2)
			stream.cancel(2)
			stream.cancel(99)
			stream.create(&pb.WatchCreateRequest{Key: w, WatchId: 2})
			stream.create(&pb.WatchCreateRequest{Key: w})
			return stream.next(8) + "; then " + stream.silent()
		}),
		on("live, then cancelled", func(ctx context.Context, s *server, stream *stream) string {
			stream.create(&pb.WatchCreateRequest{Key: w, RangeEnd: x, PrevKv: true})
			told := stream.next(1)
			write(ctx, s, "w1", "live")
			told += "; " + stream.next(1)
			write(ctx, s, "other", "")
			_, _ = s.kv.Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{opPut("w1", "a"), opPut("w2", "b"), opPut("unwatched", "")}})
			told += "; " + stream.next(1)
			_, _ = s.kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: w, RangeEnd: x})
			told += "; " + stream.next(1)
			stream.cancel(0)
			told += "; " + stream.next(1)
			write(ctx, s, "w1", "unseen")
			return told + "; then " + stream.silent()
		}),
		on("future revision reached", func(ctx context.Context, s *server, stream *stream) string {
			answer, err := s.kv.Range(ctx, &pb.RangeRequest{Key: w})
			if err != nil {
				return err.Error()
			}
			stream.create(&pb.WatchCreateRequest{Key: w, RangeEnd: x, StartRevision: answer.Header.Revision + 2})
			told := stream.next(1)
			write(ctx, s, "w1", "too early")
			write(ctx, s, "w1", "in time")
			return told + "; " + stream.next(1)
		}),
		on("progress", func(ctx context.Context, s *server, stream *stream) string {
			stream.progress()
			told := "no watch: " + stream.silent()
			stream.create(&pb.WatchCreateRequest{Key: w, RangeEnd: x})
			stream.create(&pb.WatchCreateRequest{Key: []byte("other")})
			told += "; " + stream.next(2)
			write(ctx, s, "unwatched", "")
			stream.progress()
			told += "; " + stream.next(1)
			return told + "; then " + stream.silent()
		}),
		on("nothing asked", func(_ context.Context, _ *server, stream *stream) string {
			_ = stream.watch.Send(&pb.WatchRequest{})
			stream.create(&pb.WatchCreateRequest{Key: w})
			return stream.next(1)
		}),
		on("fragments", func(ctx context.Context, s *server, stream *stream) string {
			answer, err := s.kv.Put(ctx, &pb.PutRequest{Key: []byte("w"), Value: make([]byte, 900_000)})
			if err != nil {
				return err.Error()
			}
			for range 4 {
				_, _ = s.kv.Put(ctx, &pb.PutRequest{Key: []byte("w"), Value: make([]byte, 900_000)})
			}
			_ = stream.watch.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: w, StartRevision: answer.Header.Revision, Fragment: true}}})
			var told []string
			events := 0
			for events < 5 {
				select {
				case line := <-stream.lines:
					count := strings.Count(line, "mod_revision")
					events += count
					told = append(told, fmt.Sprintf("%d events, fragment %v", count, strings.Contains(line, "fragment:true")))
				case <-time.After(5 * time.Second):
					return strings.Join(append(told, "silence"), "; ")
				}
			}
			_, _ = s.kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: w})
			return strings.Join(told, "; ")
		}),
	}
}
