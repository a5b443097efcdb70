package main

import (
	"context"
	"fmt"
	"math/rand"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Random requests over few keys, so that they meet each other. Equal seeds give equal histories.
type history struct {
	random   *rand.Rand
	revision int64
	step     int
}

func newHistory(seed int64) *history {
	return &history{random: rand.New(rand.NewSource(seed)), revision: 1}
}

func (h *history) next() question {
	h.step++
	switch pick := h.random.Intn(100); {
	case pick < 30:
		request := h.txn(2)
		return question{fmt.Sprintf("step %d: txn %v", h.step, request), func(ctx context.Context, s *server) string {
			answer, err := s.kv.Txn(ctx, request)
			if err == nil {
				anonymousTxn(answer)
				h.revision = answer.Header.Revision
			}
			return told(answer, err)
		}}
	case pick < 50:
		op := h.put()
		// Not inside transactions: etcd panics when one deletes a key and then keeps its value.
		request := op.Request.(*pb.RequestOp_RequestPut).RequestPut
		if h.chance(5) {
			request.IgnoreValue = true
			if !h.chance(4) {
				request.Value = nil
			}
		}
		request.IgnoreLease = h.chance(6)
		return h.ask("put", op)
	case pick < 60:
		return h.ask("delete", h.remove())
	case pick < 95:
		return h.ask("range", h.find())
	default:
		request := &pb.CompactionRequest{Revision: h.anyRevision(), Physical: h.chance(2)}
		// Most compactions only nudge history on, so that something stays to be read.
		if !h.chance(8) && h.revision > 60 {
			request.Revision = h.revision - 50
		}
		return question{fmt.Sprintf("step %d: compact %v", h.step, request), func(ctx context.Context, s *server) string {
			answer, err := s.kv.Compact(ctx, request)
			if err == nil {
				anonymous(answer.Header)
			}
			return told(answer, err)
		}}
	}
}

func (h *history) ask(what string, op *pb.RequestOp) question {
	return question{fmt.Sprintf("step %d: %s %v", h.step, what, op), func(ctx context.Context, s *server) string {
		switch request := op.Request.(type) {
		case *pb.RequestOp_RequestPut:
			answer, err := s.kv.Put(ctx, request.RequestPut)
			if err == nil {
				anonymous(answer.Header)
				h.revision = answer.Header.Revision
			}
			return told(answer, err)
		case *pb.RequestOp_RequestDeleteRange:
			answer, err := s.kv.DeleteRange(ctx, request.RequestDeleteRange)
			if err == nil {
				anonymous(answer.Header)
				h.revision = answer.Header.Revision
			}
			return told(answer, err)
		case *pb.RequestOp_RequestRange:
			answer, err := s.kv.Range(ctx, request.RequestRange)
			if err == nil {
				anonymous(answer.Header)
			}
			return told(answer, err)
		}
		return "nothing asked"
	}}
}

func (h *history) chance(oneIn int) bool { return h.random.Intn(oneIn) == 0 }

func (h *history) key() []byte {
	if h.chance(200) {
		return nil
	}
	return fmt.Appendf(nil, "h%d", h.random.Intn(8))
}

func (h *history) end() []byte {
	switch h.random.Intn(8) {
	case 0:
		return []byte{0}
	case 1:
		return []byte("i")
	case 2, 3:
		return fmt.Appendf(nil, "h%d", h.random.Intn(9))
	default:
		return nil
	}
}

func (h *history) anyRevision() int64 {
	return h.revision - 60 + h.random.Int63n(63)
}

func (h *history) put() *pb.RequestOp {
	request := &pb.PutRequest{Key: h.key(), Value: fmt.Appendf(nil, "v%d", h.random.Intn(5)), PrevKv: h.chance(2)}
	if h.chance(12) {
		// The questions before granted 5001; 5002 does not exist.
		request.Lease = 5001 + int64(h.random.Intn(2))
	}
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: request}}
}

func (h *history) remove() *pb.RequestOp {
	request := &pb.DeleteRangeRequest{Key: h.key(), RangeEnd: h.end(), PrevKv: h.chance(2)}
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: request}}
}

func (h *history) find() *pb.RequestOp {
	request := &pb.RangeRequest{Key: h.key(), RangeEnd: h.end(), Serializable: h.chance(3), KeysOnly: h.chance(6), CountOnly: h.chance(8)}
	if h.chance(2) {
		request.Limit = int64(h.random.Intn(5)) - 1
	}
	if h.chance(3) {
		request.Revision = h.anyRevision()
	}
	if h.chance(3) {
		// Keys differ, so that this order is the only one without ties.
		request.SortOrder = pb.RangeRequest_SortOrder(h.random.Intn(3))
	}
	if h.chance(4) {
		request.SortTarget = pb.RangeRequest_MOD
		request.SortOrder = pb.RangeRequest_SortOrder(h.random.Intn(3))
	}
	if h.chance(4) {
		for _, bound := range []*int64{&request.MinModRevision, &request.MaxModRevision, &request.MinCreateRevision, &request.MaxCreateRevision} {
			if h.chance(3) {
				*bound = max(0, h.anyRevision())
			}
		}
	}
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: request}}
}

func (h *history) compare() *pb.Compare {
	compare := &pb.Compare{
		Key:    h.key(),
		Result: pb.Compare_CompareResult(h.random.Intn(4)),
		Target: pb.Compare_CompareTarget(h.random.Intn(5)),
	}
	if h.chance(4) {
		compare.RangeEnd = h.end()
	}
	// Sometimes the value is of another target: it counts as zero then.
	target := compare.Target
	if h.chance(10) {
		target = pb.Compare_CompareTarget(h.random.Intn(5))
	}
	switch target {
	case pb.Compare_VERSION:
		compare.TargetUnion = &pb.Compare_Version{Version: int64(h.random.Intn(4))}
	case pb.Compare_CREATE:
		compare.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: h.anyRevision()}
	case pb.Compare_MOD:
		compare.TargetUnion = &pb.Compare_ModRevision{ModRevision: h.anyRevision()}
	case pb.Compare_VALUE:
		compare.TargetUnion = &pb.Compare_Value{Value: fmt.Appendf(nil, "v%d", h.random.Intn(5))}
	case pb.Compare_LEASE:
		compare.TargetUnion = &pb.Compare_Lease{Lease: 5001 * int64(h.random.Intn(2))}
	}
	return compare
}

func (h *history) txn(depth int) *pb.TxnRequest {
	request := &pb.TxnRequest{}
	for range h.random.Intn(3) {
		request.Compare = append(request.Compare, h.compare())
	}
	for _, branch := range []*[]*pb.RequestOp{&request.Success, &request.Failure} {
		for range h.random.Intn(4) {
			*branch = append(*branch, h.op(depth))
		}
	}
	return request
}

func (h *history) op(depth int) *pb.RequestOp {
	switch pick := h.random.Intn(10); {
	case pick < 4:
		return h.put()
	case pick < 6:
		return h.remove()
	case pick < 9 || depth == 0:
		return h.find()
	default:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: h.txn(depth - 1)}}
	}
}

func anonymousTxn(answer *pb.TxnResponse) {
	anonymous(answer.Header)
	for _, op := range answer.Responses {
		switch inner := op.Response.(type) {
		case *pb.ResponseOp_ResponseRange:
			anonymous(inner.ResponseRange.Header)
		case *pb.ResponseOp_ResponsePut:
			anonymous(inner.ResponsePut.Header)
		case *pb.ResponseOp_ResponseDeleteRange:
			anonymous(inner.ResponseDeleteRange.Header)
		case *pb.ResponseOp_ResponseTxn:
			anonymousTxn(inner.ResponseTxn)
		}
	}
}
