// Compare asks two etcd servers the same questions and prints every answer that differs.
//
// The first is etcd itself, the second claims to be indistinguishable from it. Both must be fresh. Ids of cluster
// and member and the raft term are not compared; everything else is: revisions, counts, flags, bytes, and code and
// text of every refusal.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// A server under comparison.
type server struct {
	address string
	kv      pb.KVClient
	lease   pb.LeaseClient
	watch   pb.WatchClient
	cluster pb.ClusterClient
	upkeep  pb.MaintenanceClient
	auth    pb.AuthClient
	conn    *grpc.ClientConn
}

func connect(target string) *server {
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(64<<20), grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		fmt.Fprintf(os.Stderr, "compare: %s: %v\n", target, err)
		os.Exit(2)
	}
	return &server{target, pb.NewKVClient(conn), pb.NewLeaseClient(conn), pb.NewWatchClient(conn), pb.NewClusterClient(conn),
		pb.NewMaintenanceClient(conn), pb.NewAuthClient(conn), conn}
}

// A question, and its answer as text that is equal when the servers behave equally.
type question struct {
	name string
	ask  func(context.Context, *server) string
}

func main() {
	reference := flag.String("reference", "", "address of etcd")
	subject := flag.String("subject", "", "address of the server that claims to be like it")
	seed := flag.Int64("seed", 1, "seed of the random histories")
	steps := flag.Int("steps", 2000, "requests of random histories")
	verbose := flag.Bool("v", false, "print all answers")
	flag.Parse()
	servers := [2]*server{connect(*reference), connect(*subject)}

	differences, asked := 0, 0
	compare := func(q question) {
		var answers [2]string
		for i, server := range servers {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			answers[i] = q.ask(ctx, server)
			cancel()
		}
		asked++
		if answers[0] != answers[1] {
			differences++
			if differences <= 40 {
				fmt.Printf("DIFFERS %s\n  etcd:    %s\n  subject: %s\n", q.name, answers[0], answers[1])
			}
		} else if *verbose {
			fmt.Printf("same    %s\n  %s\n", q.name, answers[0])
		}
	}
	for _, q := range questions() {
		compare(q)
	}
	history := newHistory(*seed)
	for range *steps {
		compare(history.next())
	}
	for _, wrong := range metrics(servers[0], servers[1]) {
		differences++
		fmt.Printf("DIFFERS metric %s\n", wrong)
	}
	fmt.Printf("compared %d answers (seed %d): %d differ\n", asked, *seed, differences)
	if differences > 0 {
		os.Exit(1)
	}
}

// The text of an answer or of a refusal.
func told[A fmt.Stringer](answer A, err error) string {
	if err != nil {
		refusal := status.Convert(err)
		return fmt.Sprintf("%v: %s", refusal.Code(), refusal.Message())
	}
	return strings.TrimSpace(answer.String())
}

// Takes out of a header what belongs to one server alone.
func anonymous(header *pb.ResponseHeader) {
	if header != nil {
		header.ClusterId, header.MemberId, header.RaftTerm = 0, 0, 0
	}
}
