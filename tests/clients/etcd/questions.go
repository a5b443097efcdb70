package main

import (
	"context"
	"fmt"
	"io"
	"sort"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// What is asked in order, from a fresh server on.
func questions() []question {
	var all []question
	all = append(all, ranges()...)
	all = append(all, puts()...)
	all = append(all, transactions()...)
	all = append(all, leases()...)
	all = append(all, compactions()...)
	all = append(all, watches()...)
	all = append(all, upkeep()...)
	all = append(all, membership()...)
	all = append(all, users()...)
	all = append(all, pages()...)
	all = append(all, limits()...)
	return all
}

func put(name string, request *pb.PutRequest) question {
	return question{"put " + name, func(ctx context.Context, s *server) string {
		answer, err := s.kv.Put(ctx, request)
		if err == nil {
			anonymous(answer.Header)
		}
		return told(answer, err)
	}}
}

func get(name string, request *pb.RangeRequest) question {
	return question{"range " + name, func(ctx context.Context, s *server) string {
		answer, err := s.kv.Range(ctx, request)
		if err == nil {
			anonymous(answer.Header)
		}
		return told(answer, err)
	}}
}

func remove(name string, request *pb.DeleteRangeRequest) question {
	return question{"delete " + name, func(ctx context.Context, s *server) string {
		answer, err := s.kv.DeleteRange(ctx, request)
		if err == nil {
			anonymous(answer.Header)
		}
		return told(answer, err)
	}}
}

func txn(name string, request *pb.TxnRequest) question {
	return question{"txn " + name, func(ctx context.Context, s *server) string {
		answer, err := s.kv.Txn(ctx, request)
		if err == nil {
			anonymousTxn(answer)
		}
		return told(answer, err)
	}}
}

func compact(name string, request *pb.CompactionRequest) question {
	return question{"compact " + name, func(ctx context.Context, s *server) string {
		answer, err := s.kv.Compact(ctx, request)
		if err == nil {
			anonymous(answer.Header)
		}
		return told(answer, err)
	}}
}

func opPut(key, value string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte(key), Value: []byte(value)}}}
}

func opDelete(key, end string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(key), RangeEnd: []byte(end)}}}
}

func opGet(key, end string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte(key), RangeEnd: []byte(end)}}}
}

func opTxn(inner *pb.TxnRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: inner}}
}

func ranges() []question {
	all := []question{
		get("nothing there", &pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte{0}}),
		get("no key", &pb.RangeRequest{}),
		get("future revision", &pb.RangeRequest{Key: []byte("a"), Revision: 9}),
		get("negative revision", &pb.RangeRequest{Key: []byte("a"), Revision: -9}),
		get("unknown sort order", &pb.RangeRequest{Key: []byte("a"), SortOrder: 7}),
		get("unknown sort target", &pb.RangeRequest{Key: []byte("a"), SortTarget: 7}),
	}
	for i := range 8 {
		key := fmt.Appendf(nil, "r%d", i)
		all = append(all, put("for ranges", &pb.PutRequest{Key: key, Value: fmt.Appendf(nil, "%d", 9-i)}))
		for range i % 3 {
			all = append(all, put("again", &pb.PutRequest{Key: key, Value: fmt.Appendf(nil, "%d", 9-i), PrevKv: true}))
		}
	}
	whole := func(change func(*pb.RangeRequest)) question {
		request := &pb.RangeRequest{Key: []byte("r"), RangeEnd: []byte("s")}
		change(request)
		return get(request.String(), request)
	}
	for order := range 3 {
		for target := range 5 {
			// Versions repeat, and the order of equals is nobody's promise.
			if target == 1 {
				continue
			}
			for _, limit := range []int64{0, 3, -1} {
				all = append(all, whole(func(r *pb.RangeRequest) {
					r.SortOrder, r.SortTarget, r.Limit = pb.RangeRequest_SortOrder(order), pb.RangeRequest_SortTarget(target), limit
				}))
			}
		}
	}
	for _, change := range []func(*pb.RangeRequest){
		func(r *pb.RangeRequest) { r.CountOnly = true },
		func(r *pb.RangeRequest) { r.CountOnly, r.Limit = true, 2 },
		func(r *pb.RangeRequest) { r.CountOnly, r.MinModRevision = true, 5 },
		func(r *pb.RangeRequest) { r.CountOnly, r.Revision = true, 4 },
		func(r *pb.RangeRequest) { r.KeysOnly = true },
		func(r *pb.RangeRequest) {
			r.KeysOnly, r.SortTarget, r.SortOrder = true, pb.RangeRequest_VALUE, pb.RangeRequest_DESCEND
		},
		func(r *pb.RangeRequest) { r.Serializable, r.Limit = true, 1 },
		func(r *pb.RangeRequest) { r.Limit = 8 },
		func(r *pb.RangeRequest) { r.Limit = 7 },
		func(r *pb.RangeRequest) { r.MinModRevision, r.Limit = 6, 2 },
		func(r *pb.RangeRequest) { r.MaxModRevision, r.Limit = 6, 2 },
		func(r *pb.RangeRequest) { r.MinCreateRevision = 6 },
		func(r *pb.RangeRequest) { r.MaxCreateRevision = 6 },
		func(r *pb.RangeRequest) { r.MinModRevision, r.MaxModRevision = 9, 4 },
		func(r *pb.RangeRequest) { r.MinModRevision = -4 },
		func(r *pb.RangeRequest) { r.MaxModRevision = -4 },
		func(r *pb.RangeRequest) { r.Revision = 5 },
		func(r *pb.RangeRequest) { r.RangeEnd = []byte{0} },
		func(r *pb.RangeRequest) { r.Key, r.RangeEnd = []byte{0}, []byte{0} },
		func(r *pb.RangeRequest) { r.Key, r.RangeEnd = []byte("r5"), []byte("r2") },
		func(r *pb.RangeRequest) { r.Key, r.RangeEnd = []byte("r5"), []byte("r5") },
		func(r *pb.RangeRequest) { r.Key, r.RangeEnd = []byte("r5"), nil },
		func(r *pb.RangeRequest) { r.Key, r.RangeEnd = []byte("r5"), []byte("r5\x00") },
	} {
		all = append(all, whole(change))
	}
	return all
}

func puts() []question {
	return []question{
		put("no key", &pb.PutRequest{Value: []byte("v")}),
		put("value and ignore_value", &pb.PutRequest{Key: []byte("p"), Value: []byte("v"), IgnoreValue: true}),
		put("lease and ignore_lease", &pb.PutRequest{Key: []byte("p"), Lease: 4, IgnoreLease: true}),
		put("ignore_value of nothing", &pb.PutRequest{Key: []byte("p"), IgnoreValue: true}),
		put("ignore_lease of nothing", &pb.PutRequest{Key: []byte("p"), IgnoreLease: true}),
		put("unknown lease", &pb.PutRequest{Key: []byte("p"), Lease: 4}),
		put("empty value", &pb.PutRequest{Key: []byte("p"), PrevKv: true}),
		put("prev_kv", &pb.PutRequest{Key: []byte("p"), Value: []byte("2"), PrevKv: true}),
		put("ignore_value", &pb.PutRequest{Key: []byte("p"), IgnoreValue: true, PrevKv: true}),
		put("ignore_lease", &pb.PutRequest{Key: []byte("p"), Value: []byte("3"), IgnoreLease: true, PrevKv: true}),
		put("both", &pb.PutRequest{Key: []byte("p"), IgnoreValue: true, IgnoreLease: true, PrevKv: true}),
		put("binary", &pb.PutRequest{Key: []byte{0}, Value: []byte{0, 255, 10}}),
		get("after puts", &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}}),
		remove("no key", &pb.DeleteRangeRequest{}),
		remove("nothing there", &pb.DeleteRangeRequest{Key: []byte("nothing"), PrevKv: true}),
		remove("one", &pb.DeleteRangeRequest{Key: []byte{0}, PrevKv: true}),
		remove("reversed", &pb.DeleteRangeRequest{Key: []byte("r3"), RangeEnd: []byte("r1"), PrevKv: true}),
		remove("some", &pb.DeleteRangeRequest{Key: []byte("r1"), RangeEnd: []byte("r3"), PrevKv: true}),
		remove("from", &pb.DeleteRangeRequest{Key: []byte("r6"), RangeEnd: []byte{0}}),
		put("a second life", &pb.PutRequest{Key: []byte("r6"), Value: []byte("2"), PrevKv: true}),
		get("after deletions", &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}}),
	}
}

func transactions() []question {
	ops := func(ops ...*pb.RequestOp) *pb.TxnRequest { return &pb.TxnRequest{Success: ops} }
	compares := func(compares ...*pb.Compare) *pb.TxnRequest { return &pb.TxnRequest{Compare: compares} }
	many := func(count int) *pb.TxnRequest {
		request := &pb.TxnRequest{}
		for i := range count {
			request.Success = append(request.Success, opPut(fmt.Sprintf("many%03d", i), ""))
		}
		return request
	}
	nested := func(depth int) *pb.TxnRequest {
		request := ops(opPut("deep", "x"))
		for range depth {
			request = ops(opTxn(request))
		}
		return request
	}
	manyCompares := &pb.TxnRequest{}
	for range 129 {
		manyCompares.Compare = append(manyCompares.Compare, &pb.Compare{Key: []byte("a")})
	}
	either := func(then, otherwise *pb.RequestOp) *pb.RequestOp {
		return opTxn(&pb.TxnRequest{Success: []*pb.RequestOp{then}, Failure: []*pb.RequestOp{otherwise}})
	}
	all := []question{
		txn("empty", &pb.TxnRequest{}),
		txn("empty operation", ops(&pb.RequestOp{})),
		txn("no key in a put", ops(opPut("", ""))),
		txn("no key in a compare", compares(&pb.Compare{})),
		txn("unknown sort", ops(&pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte("a"), SortOrder: 9}}})),
		txn("128 operations", many(128)),
		txn("129 operations", many(129)),
		txn("129 compares", manyCompares),
		txn("129 in the other branch", &pb.TxnRequest{Failure: many(129).Success}),
		txn("127 and one deep", ops(append(many(127).Success, opTxn(ops(opPut("deep", "1"))))...)),
		txn("128 and one deep", ops(append(many(127).Success[:127], opTxn(ops(opPut("deep", "1"), opPut("deep2", "1"))))...)),
		// Ours reads 32 of them inside one another, etcd as many as there may be operations.
		txn("31 deep", nested(31)),
		txn("128 deep", nested(128)),
		remove("what those made", &pb.DeleteRangeRequest{Key: []byte("many"), RangeEnd: []byte("manz")}),
		txn("a key twice", ops(opPut("t", "1"), opPut("t", "2"))),
		txn("a key twice in the branch not taken", &pb.TxnRequest{Failure: []*pb.RequestOp{opPut("t", "1"), opPut("t", "2")}}),
		txn("put and delete", ops(opPut("t", "1"), opDelete("t", ""))),
		txn("put and delete of its range", ops(opDelete("a", "z"), opPut("t", "1"))),
		txn("put and delete from a key on", ops(opDelete("a", "\x00"), opPut("t", "1"))),
		txn("put before delete from a key on", ops(opPut("t", "7"), opDelete("t", "\x00"))),
		txn("put and delete of a reversed range", ops(opDelete("z", "a"), opPut("t", "1"))),
		txn("two deletes of one key", ops(opDelete("t", ""), opDelete("t", ""))),
		txn("put, delete in an inner one", ops(opPut("t", "1"), opTxn(ops(opDelete("t", ""))))),
		txn("delete, put in an inner one", ops(opDelete("t", ""), opTxn(ops(opPut("t", "1"))))),
		txn("put, put in an inner one", ops(opPut("t", "1"), opTxn(ops(opPut("t", "1"))))),
		txn("put in both branches of an inner one", ops(either(opPut("t", "then"), opPut("t", "else")))),
		txn("put in two inner ones", ops(opTxn(ops(opPut("t", "1"))), opTxn(ops(opPut("t", "2"))))),
		txn("put in opposite branches of two inner ones", ops(either(opPut("t", "1"), opGet("t", "")), either(opGet("t", ""), opPut("t", "2")))),
		txn("delete and put in two inner ones", ops(opTxn(ops(opDelete("t", ""))), opTxn(ops(opPut("t", "2"))))),
		txn("put and delete in two inner ones", ops(opTxn(ops(opPut("t", "2"))), opTxn(ops(opDelete("t", ""))))),
		txn("delete, then put in either branch", ops(opDelete("t", ""), either(opPut("t", "1"), opPut("t", "2")))),
		txn("reads between writes", ops(opGet("t", ""), opPut("t", "8"), opGet("t", ""), opPut("u", "9"), opGet("t", "v"), opDelete("t", ""), opGet("t", "v"))),
		txn("future read in it", ops(opPut("t", "never"), &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte("t"), Revision: 9999}}})),
		txn("future read alone", ops(&pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte("t"), Revision: 9999}}})),
		txn("ignore_value of nothing in it", ops(opPut("v", "never"), &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("w"), IgnoreValue: true}}})),
		txn("unknown lease in it", ops(&pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("w"), Lease: 77}}})),
		get("after refusals", &pb.RangeRequest{Key: []byte("t"), RangeEnd: []byte("x")}),
	}
	// Every target and result, on a key that is there, one that is not, and on ranges.
	for _, place := range []struct{ key, end string }{{"r0", ""}, {"none", ""}, {"r", "s"}, {"x", "y"}, {"r", "\x00"}, {"s", "r"}} {
		for target := range 7 {
			for result := range 5 {
				for _, value := range []int64{0, 2} {
					compare := &pb.Compare{Key: []byte(place.key), RangeEnd: []byte(place.end), Target: pb.Compare_CompareTarget(target), Result: pb.Compare_CompareResult(result)}
					switch target {
					case 0:
						compare.TargetUnion = &pb.Compare_Version{Version: value}
					case 1:
						compare.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: value}
					case 2:
						compare.TargetUnion = &pb.Compare_ModRevision{ModRevision: value}
					case 3:
						compare.TargetUnion = &pb.Compare_Value{Value: fmt.Appendf(nil, "%d", 9-value)}
					case 4:
						compare.TargetUnion = &pb.Compare_Lease{Lease: value}
					}
					all = append(all, txn(compare.String(), compares(compare)))
				}
			}
			bare := &pb.Compare{Key: []byte(place.key), RangeEnd: []byte(place.end), Target: pb.Compare_CompareTarget(target)}
			all = append(all, txn("without a value "+bare.String(), compares(bare)))
		}
	}
	return all
}

func leases() []question {
	grant := func(name string, request *pb.LeaseGrantRequest) question {
		return question{"grant " + name, func(ctx context.Context, s *server) string {
			answer, err := s.lease.LeaseGrant(ctx, request)
			if err == nil {
				anonymous(answer.Header)
				if request.ID == 0 {
					answer.ID = 1
				}
			}
			return told(answer, err)
		}}
	}
	revoke := func(name string, id int64) question {
		return question{"revoke " + name, func(ctx context.Context, s *server) string {
			answer, err := s.lease.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: id})
			if err == nil {
				anonymous(answer.Header)
			}
			return told(answer, err)
		}}
	}
	left := func(name string, id int64, keys bool) question {
		return question{"time to live " + name, func(ctx context.Context, s *server) string {
			answer, err := s.lease.LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: id, Keys: keys})
			if err == nil {
				anonymous(answer.Header)
				// A second may have begun on one and not on the other.
				if answer.TTL > 0 && answer.TTL <= answer.GrantedTTL && answer.TTL >= answer.GrantedTTL-2 {
					answer.TTL = answer.GrantedTTL
				}
				sort.Slice(answer.Keys, func(i, j int) bool { return string(answer.Keys[i]) < string(answer.Keys[j]) })
			}
			return told(answer, err)
		}}
	}
	list := question{"list leases", func(ctx context.Context, s *server) string {
		answer, err := s.lease.LeaseLeases(ctx, &pb.LeaseLeasesRequest{})
		if err == nil {
			anonymous(answer.Header)
		}
		return told(answer, err)
	}}
	alive := func(name string, ids ...int64) question {
		return question{"keep alive " + name, func(ctx context.Context, s *server) string {
			stream, err := s.lease.LeaseKeepAlive(ctx)
			if err != nil {
				return told(&pb.LeaseKeepAliveResponse{}, err)
			}
			var answers []string
			for _, id := range ids {
				_ = stream.Send(&pb.LeaseKeepAliveRequest{ID: id})
				answer, err := stream.Recv()
				if err == nil {
					anonymous(answer.Header)
				}
				answers = append(answers, told(answer, err))
			}
			_ = stream.CloseSend()
			_, err = stream.Recv()
			return strings.Join(append(answers, fmt.Sprint(err == io.EOF)), "; ")
		}}
	}
	return []question{
		list,
		left("of nothing", 99, true),
		revoke("nothing", 99),
		revoke("zero", 0),
		grant("too long", &pb.LeaseGrantRequest{ID: 5000, TTL: 9_000_000_001}),
		grant("longest", &pb.LeaseGrantRequest{ID: 5000, TTL: 9_000_000_000}),
		grant("long", &pb.LeaseGrantRequest{ID: 5001, TTL: 5_000}),
		grant("twice", &pb.LeaseGrantRequest{ID: 5001, TTL: 500}),
		grant("negative id", &pb.LeaseGrantRequest{ID: -7, TTL: 7_000}),
		grant("other", &pb.LeaseGrantRequest{ID: 4000, TTL: 6_000}),
		list,
		put("with a lease", &pb.PutRequest{Key: []byte("l1"), Lease: 5001}),
		put("with a lease", &pb.PutRequest{Key: []byte("l2"), Lease: 4000}),
		put("with a lease", &pb.PutRequest{Key: []byte("l3"), Lease: 4000}),
		put("to another lease", &pb.PutRequest{Key: []byte("l3"), Lease: 5001, PrevKv: true}),
		put("lease kept", &pb.PutRequest{Key: []byte("l3"), Value: []byte("x"), IgnoreLease: true}),
		put("lease dropped", &pb.PutRequest{Key: []byte("l2"), PrevKv: true}),
		left("with keys", 5001, true),
		left("without keys", 5001, false),
		left("without any", 4000, true),
		alive("known and unknown", 5001, 99, 4000, 0),
		revoke("with keys", 5001),
		get("after a revocation", &pb.RangeRequest{Key: []byte("l"), RangeEnd: []byte("m")}),
		revoke("again", 5001),
		revoke("without keys", 4000),
		revoke("negative", -7),
		revoke("longest", 5000),
		grant("chosen id, no time", &pb.LeaseGrantRequest{ID: 1, TTL: 0}),
		grant("negative time", &pb.LeaseGrantRequest{ID: 2, TTL: -5}),
		grant("id is chosen", &pb.LeaseGrantRequest{TTL: 1}),
		revoke("short", 1),
		revoke("short", 2),
		grant("for the histories", &pb.LeaseGrantRequest{ID: 5001, TTL: 5_000}),
	}
}

func compactions() []question {
	at := func(revision int64) question {
		return get(fmt.Sprintf("at %d", revision), &pb.RangeRequest{Key: []byte("r"), RangeEnd: []byte("s"), Revision: revision})
	}
	return []question{
		hashes("before", 0),
		compact("negative", &pb.CompactionRequest{Revision: -3}),
		compact("zero", &pb.CompactionRequest{Revision: 0}),
		compact("future", &pb.CompactionRequest{Revision: 9999}),
		compact("some", &pb.CompactionRequest{Revision: 12}),
		compact("again", &pb.CompactionRequest{Revision: 12}),
		compact("before", &pb.CompactionRequest{Revision: 11, Physical: true}),
		compact("more", &pb.CompactionRequest{Revision: 20, Physical: true}),
		at(11), at(12), at(19), at(20), at(21),
		get("compacted, count only", &pb.RangeRequest{Key: []byte("r"), Revision: 3, CountOnly: true}),
		txn("compacted read", &pb.TxnRequest{Success: []*pb.RequestOp{opPut("t", "never"), {Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte("t"), Revision: 3}}}}}),
		hashes("of a compacted revision", 3),
		hashes("of a future revision", 9999),
		hashes("then", 22),
	}
}

// Hashes differ between implementations by right; what they are of does not.
func hashes(name string, revision int64) question {
	return question{"hash " + name, func(ctx context.Context, s *server) string {
		answer, err := s.upkeep.HashKV(ctx, &pb.HashKVRequest{Revision: revision})
		if err == nil {
			anonymous(answer.Header)
			answer.Hash = 0
		}
		return told(answer, err)
	}}
}

func upkeep() []question {
	alarm := func(name string, request *pb.AlarmRequest) question {
		return question{"alarm " + name, func(ctx context.Context, s *server) string {
			answer, err := s.upkeep.Alarm(ctx, request)
			if err == nil {
				anonymous(answer.Header)
			}
			return told(answer, err)
		}}
	}
	const member = 12
	questions := []question{
		{"status", func(ctx context.Context, s *server) string {
			answer, err := s.upkeep.Status(ctx, &pb.StatusRequest{})
			if err == nil {
				if answer.Leader != answer.Header.MemberId || answer.RaftIndex < answer.RaftAppliedIndex || answer.DbSize < answer.DbSizeInUse || answer.DbSizeInUse == 0 {
					return "impossible: " + answer.String()
				}
				anonymous(answer.Header)
				answer.Leader, answer.RaftIndex, answer.RaftAppliedIndex, answer.RaftTerm, answer.DbSize, answer.DbSizeInUse = 0, 0, 0, 0, 0, 0
			}
			return told(answer, err)
		}},
		{"defragment", func(ctx context.Context, s *server) string {
			answer, err := s.upkeep.Defragment(ctx, &pb.DefragmentRequest{})
			return told(answer, err)
		}},
		{"hash", func(ctx context.Context, s *server) string {
			answer, err := s.upkeep.Hash(ctx, &pb.HashRequest{})
			if err == nil {
				anonymous(answer.Header)
				answer.Hash = 0
			}
			return told(answer, err)
		}},
		{"snapshot", snapshot},
		alarm("none", &pb.AlarmRequest{}),
		alarm("disarm what is not raised", &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: member, Alarm: pb.AlarmType_NOSPACE}),
		alarm("raise", &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: member, Alarm: pb.AlarmType_NOSPACE}),
		alarm("raise again", &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: member, Alarm: pb.AlarmType_NOSPACE}),
		alarm("all", &pb.AlarmRequest{}),
		alarm("full ones", &pb.AlarmRequest{Alarm: pb.AlarmType_NOSPACE}),
		{"status when full", func(ctx context.Context, s *server) string {
			answer, err := s.upkeep.Status(ctx, &pb.StatusRequest{})
			return told(&pb.StatusResponse{Errors: answer.GetErrors()}, err)
		}},
		alarm("corrupt ones", &pb.AlarmRequest{Alarm: pb.AlarmType_CORRUPT}),
		alarm("of nobody", &pb.AlarmRequest{MemberID: 1}),
		put("when full", &pb.PutRequest{Key: []byte("full")}),
		put("unknown lease when full", &pb.PutRequest{Key: []byte("full"), Lease: 31}),
		txn("put when full", &pb.TxnRequest{Success: []*pb.RequestOp{opPut("full", "")}}),
		txn("put in the branch not taken when full", &pb.TxnRequest{Failure: []*pb.RequestOp{opPut("full", "")}}),
		txn("delete when full", &pb.TxnRequest{Success: []*pb.RequestOp{opDelete("r0", "")}}),
		remove("when full", &pb.DeleteRangeRequest{Key: []byte("r3")}),
		get("when full", &pb.RangeRequest{Key: []byte("r"), RangeEnd: []byte("s")}),
		compact("when full", &pb.CompactionRequest{Revision: 25, Physical: true}),
		{"grant when full", func(ctx context.Context, s *server) string {
			answer, err := s.lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: 8, TTL: 100})
			if err == nil {
				anonymous(answer.Header)
			}
			return told(answer, err)
		}},
		{"health when full", health("")},
	}
	questions = append(questions, sickPages()...)
	questions = append(questions,
		alarm("disarm", &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: member, Alarm: pb.AlarmType_NOSPACE}),
		put("no longer full", &pb.PutRequest{Key: []byte("full")}),
		alarm("none again", &pb.AlarmRequest{}),
		alarm("corrupt", &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: member, Alarm: pb.AlarmType_CORRUPT}),
		put("when corrupt", &pb.PutRequest{Key: []byte("corrupt")}),
		get("when corrupt", &pb.RangeRequest{Key: []byte("r")}),
		get("when corrupt, serializable", &pb.RangeRequest{Key: []byte("r"), Serializable: true}),
		remove("when corrupt", &pb.DeleteRangeRequest{Key: []byte("r")}),
		txn("when corrupt", &pb.TxnRequest{Success: []*pb.RequestOp{opPut("corrupt", "")}}),
		txn("read when corrupt", &pb.TxnRequest{Success: []*pb.RequestOp{opGet("corrupt", "")}}),
		compact("when corrupt", &pb.CompactionRequest{Revision: 26}),
		question{"grant when corrupt", func(ctx context.Context, s *server) string {
			answer, err := s.lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: 8, TTL: 100})
			return told(answer, err)
		}},
		question{"revoke when corrupt", func(ctx context.Context, s *server) string {
			answer, err := s.lease.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: 8})
			return told(answer, err)
		}},
		alarm("disarm corrupt", &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: member, Alarm: pb.AlarmType_CORRUPT}),
		get("after all that", &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, KeysOnly: true}),
		question{"move to nobody", func(ctx context.Context, s *server) string {
			answer, err := s.upkeep.MoveLeader(ctx, &pb.MoveLeaderRequest{TargetID: 12345})
			return told(answer, err)
		}},
		question{"move to itself", func(ctx context.Context, s *server) string {
			status, err := s.upkeep.Status(ctx, &pb.StatusRequest{})
			if err != nil {
				return told(status, err)
			}
			answer, err := s.upkeep.MoveLeader(ctx, &pb.MoveLeaderRequest{TargetID: status.Leader})
			return told(answer, err)
		}},
		downgrade(pb.DowngradeRequest_VALIDATE, ""),
		downgrade(pb.DowngradeRequest_VALIDATE, "nonsense"),
		downgrade(pb.DowngradeRequest_VALIDATE, "3.4.0"),
		downgrade(pb.DowngradeRequest_VALIDATE, "3.6.0"),
		downgrade(pb.DowngradeRequest_CANCEL, ""),
		downgrade(pb.DowngradeRequest_ENABLE, "3.7.0"),
		downgrade(9, "3.5.0"),
		question{"health", health("")},
		question{"health of an unknown service", health("etcdserverpb.Nothing")},
		question{"unknown method", func(ctx context.Context, s *server) string {
			err := s.conn.Invoke(ctx, "/etcdserverpb.KV/Nothing", &pb.RangeRequest{}, &pb.RangeResponse{})
			return told(&pb.RangeResponse{}, err)
		}},
		question{"unknown service", func(ctx context.Context, s *server) string {
			err := s.conn.Invoke(ctx, "/etcdserverpb.Nothing/Nothing", &pb.RangeRequest{}, &pb.RangeResponse{})
			return told(&pb.RangeResponse{}, err)
		}},
	)
	return questions
}

func downgrade(action pb.DowngradeRequest_DowngradeAction, version string) question {
	return question{fmt.Sprintf("downgrade %v %q", action, version), func(ctx context.Context, s *server) string {
		answer, err := s.upkeep.Downgrade(ctx, &pb.DowngradeRequest{Action: action, Version: version})
		if err == nil {
			anonymous(answer.Header)
		}
		return told(answer, err)
	}}
}

// The form of a snapshot: what it holds is each server's own business.
func snapshot(ctx context.Context, s *server) string {
	stream, err := s.upkeep.Snapshot(ctx, &pb.SnapshotRequest{})
	if err != nil {
		return told(&pb.SnapshotResponse{}, err)
	}
	bytes, last := 0, &pb.SnapshotResponse{}
	for {
		blob, err := stream.Recv()
		if err == io.EOF {
			return fmt.Sprintf("over whole pages: %d, last blob %d, remaining %d, version %s, header %v", bytes%512, len(last.Blob), last.RemainingBytes, last.Version, last.Header)
		}
		if err != nil {
			return told(blob, err)
		}
		bytes += len(blob.Blob)
		last = blob
	}
}

func health(service string) func(context.Context, *server) string {
	return func(ctx context.Context, s *server) string {
		// The stubs of etcd use another protobuf library than those of grpc.
		answer, err := grpc_health_v1.NewHealthClient(s.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil {
			refusal := status.Convert(err)
			return fmt.Sprintf("%v: %s", refusal.Code(), refusal.Message())
		}
		text, _ := proto.Marshal(answer)
		return fmt.Sprint(text)
	}
}

func membership() []question {
	return []question{
		{"member list", func(ctx context.Context, s *server) string {
			answer, err := s.cluster.MemberList(ctx, &pb.MemberListRequest{Linearizable: true})
			if err != nil {
				return told(answer, err)
			}
			member := answer.Members[0]
			return fmt.Sprintf("%d members, ours %v, clients %v, learner %v, revision %d",
				len(answer.Members), member.ID == answer.Header.MemberId, len(member.ClientURLs) > 0, member.IsLearner, answer.Header.Revision)
		}},
		{"remove an unknown member", func(ctx context.Context, s *server) string {
			answer, err := s.cluster.MemberRemove(ctx, &pb.MemberRemoveRequest{ID: 5})
			return told(answer, err)
		}},
		{"update an unknown member", func(ctx context.Context, s *server) string {
			answer, err := s.cluster.MemberUpdate(ctx, &pb.MemberUpdateRequest{ID: 5, PeerURLs: []string{"http://127.0.0.1:1"}})
			return told(answer, err)
		}},
		{"promote an unknown member", func(ctx context.Context, s *server) string {
			answer, err := s.cluster.MemberPromote(ctx, &pb.MemberPromoteRequest{ID: 5})
			return told(answer, err)
		}},
		{"promote itself", func(ctx context.Context, s *server) string {
			members, err := s.cluster.MemberList(ctx, &pb.MemberListRequest{})
			if err != nil {
				return told(members, err)
			}
			answer, err := s.cluster.MemberPromote(ctx, &pb.MemberPromoteRequest{ID: members.Members[0].ID})
			return told(answer, err)
		}},
		{"add at a bad URL", func(ctx context.Context, s *server) string {
			answer, err := s.cluster.MemberAdd(ctx, &pb.MemberAddRequest{PeerURLs: []string{"nonsense"}})
			return told(answer, err)
		}},
		{"add nowhere", func(ctx context.Context, s *server) string {
			answer, err := s.cluster.MemberAdd(ctx, &pb.MemberAddRequest{})
			return told(answer, err)
		}},
	}
}

// Authentication is off on both.
func users() []question {
	ask := func(name string, call func(context.Context, pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error)) question {
		return question{name, func(ctx context.Context, s *server) string {
			answer, header, err := call(ctx, s.auth)
			anonymous(header)
			return told(answer, err)
		}}
	}
	return []question{
		ask("auth status", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.AuthStatus(ctx, &pb.AuthStatusRequest{})
			return a, a.GetHeader(), err
		}),
		ask("auth enable", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.AuthEnable(ctx, &pb.AuthEnableRequest{})
			return a, a.GetHeader(), err
		}),
		ask("auth disable", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.AuthDisable(ctx, &pb.AuthDisableRequest{})
			return a, a.GetHeader(), err
		}),
		ask("authenticate", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.Authenticate(ctx, &pb.AuthenticateRequest{Name: "root", Password: "x"})
			return a, a.GetHeader(), err
		}),
		ask("user list", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.UserList(ctx, &pb.AuthUserListRequest{})
			return a, a.GetHeader(), err
		}),
		ask("role list", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.RoleList(ctx, &pb.AuthRoleListRequest{})
			return a, a.GetHeader(), err
		}),
		ask("user get", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.UserGet(ctx, &pb.AuthUserGetRequest{Name: "nobody"})
			return a, a.GetHeader(), err
		}),
		ask("user delete", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.UserDelete(ctx, &pb.AuthUserDeleteRequest{Name: "nobody"})
			return a, a.GetHeader(), err
		}),
		ask("user change password", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.UserChangePassword(ctx, &pb.AuthUserChangePasswordRequest{Name: "nobody", Password: "x"})
			return a, a.GetHeader(), err
		}),
		ask("user grant role", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.UserGrantRole(ctx, &pb.AuthUserGrantRoleRequest{User: "nobody", Role: "none"})
			return a, a.GetHeader(), err
		}),
		ask("user revoke role", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.UserRevokeRole(ctx, &pb.AuthUserRevokeRoleRequest{Name: "nobody", Role: "none"})
			return a, a.GetHeader(), err
		}),
		ask("user add without a name", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.UserAdd(ctx, &pb.AuthUserAddRequest{Password: "x"})
			return a, a.GetHeader(), err
		}),
		ask("role add without a name", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.RoleAdd(ctx, &pb.AuthRoleAddRequest{})
			return a, a.GetHeader(), err
		}),
		ask("role get", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.RoleGet(ctx, &pb.AuthRoleGetRequest{Role: "none"})
			return a, a.GetHeader(), err
		}),
		ask("role delete", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.RoleDelete(ctx, &pb.AuthRoleDeleteRequest{Role: "none"})
			return a, a.GetHeader(), err
		}),
		ask("role grant permission", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.RoleGrantPermission(ctx, &pb.AuthRoleGrantPermissionRequest{Name: "none"})
			return a, a.GetHeader(), err
		}),
		ask("role revoke permission", func(ctx context.Context, c pb.AuthClient) (fmt.Stringer, *pb.ResponseHeader, error) {
			a, err := c.RoleRevokePermission(ctx, &pb.AuthRoleRevokePermissionRequest{Role: "none"})
			return a, a.GetHeader(), err
		}),
	}
}

func limits() []question {
	big := func(bytes int) question {
		return put(fmt.Sprintf("%d bytes", bytes), &pb.PutRequest{Key: []byte("big"), Value: make([]byte, bytes)})
	}
	return []question{
		big(1_572_864 - 200),
		big(1_572_864),
		big(1_600_000),
		big(2_097_152 - 20),
		big(2_097_152),
		big(3_000_000),
		remove("the big one", &pb.DeleteRangeRequest{Key: []byte("big")}),
	}
}
