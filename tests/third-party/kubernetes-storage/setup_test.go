package storage

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/k3s-daas/k3s-daas/tests/third-party/server"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"google.golang.org/grpc/grpclog"
	"k8s.io/apimachinery/pkg/api/apitesting"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apiserver/pkg/apis/example"
	examplev1 "k8s.io/apiserver/pkg/apis/example/v1"
	"k8s.io/apiserver/pkg/features"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/etcd3"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
	"k8s.io/apiserver/pkg/storage/value"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/utils/clock"
)

// valuePrefix is what the transformer puts before every stored value.
const valuePrefix = "test!"

var (
	scheme = runtime.NewScheme()
	codecs = serializer.NewCodecFactory(scheme)
)

func init() {
	metav1.AddToGroupVersion(scheme, metav1.SchemeGroupVersion)
	utilruntime.Must(example.AddToScheme(scheme))
	utilruntime.Must(examplev1.AddToScheme(scheme))
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, os.Stderr))
}

// rig is kube-apiserver's etcd storage on a store of its own.
type rig struct {
	apistorage.Interface
	client      *clientv3.Client
	codec       runtime.Codec
	reads       *storagetesting.KVRecorder
	lists       *storagetesting.KubernetesRecorder
	prefixes    *storagetesting.PrefixTransformer
	transformer *switchable
	estimate    func(apistorage.KeysFunc) error
}

func newRig(t *testing.T, env ...string) (context.Context, *rig) {
	t.Helper()
	running := server.Start(t, env...)
	client, err := kubernetes.New(clientv3.Config{Endpoints: []string{running.Endpoint}, DialTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	r := &rig{
		client:   client.Client,
		codec:    apitesting.TestCodec(codecs, examplev1.SchemeGroupVersion),
		reads:    storagetesting.NewKVRecorder(client.KV),
		lists:    storagetesting.NewKubernetesRecorder(client.Kubernetes),
		prefixes: storagetesting.NewPrefixTransformer([]byte(valuePrefix), false),
	}
	client.KV, client.Kubernetes = r.reads, r.lists
	r.transformer = newSwitchable(r.prefixes)
	leases := etcd3.NewDefaultLeaseManagerConfig()
	// Tests wait at most 30 s for an expiry.
	leases.ReuseDurationSeconds = 1
	versioner := apistorage.APIObjectVersioner{}
	compactor := etcd3.NewCompactor(client.Client, 0, clock.RealClock{}, nil)
	t.Cleanup(compactor.Stop)
	store, err := etcd3.New(
		client,
		compactor,
		r.codec,
		func() runtime.Object { return &example.Pod{} },
		func() runtime.Object { return &example.PodList{} },
		"",
		"/pods/",
		schema.GroupResource{Resource: "pods"},
		r.transformer,
		leases,
		etcd3.NewDefaultDecoder(r.codec, versioner),
		versioner,
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	r.Interface, r.estimate = store, store.EnableResourceSizeEstimation
	return context.Background(), r
}

// switchable is a transformer that tests can replace under a running storage.
type switchable struct {
	current atomic.Pointer[value.Transformer]
}

func newSwitchable(first value.Transformer) *switchable {
	s := &switchable{}
	s.current.Store(&first)
	return s
}

func (s *switchable) TransformFromStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, bool, error) {
	return (*s.current.Load()).TransformFromStorage(ctx, data, dataCtx)
}

func (s *switchable) TransformToStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, error) {
	return (*s.current.Load()).TransformToStorage(ctx, data, dataCtx)
}

func (s *switchable) replace(next value.Transformer) (revert func()) {
	before := s.current.Swap(&next)
	return func() { s.current.Store(before) }
}

// UpdatePrefixTransformer is what the tests ask of a storage whose values they tamper with.
func (r *rig) UpdatePrefixTransformer(modify storagetesting.PrefixTransformerModifier) func() {
	copied := *r.prefixes
	return r.transformer.replace(modify(&copied))
}

// CorruptTransformer makes every stored object unreadable, in the way that the storage takes for corruption.
func (r *rig) CorruptTransformer() func() {
	return r.transformer.replace(etcd3.WithCorruptObjErrorHandlingTransformer(unreadable{r.prefixes}))
}

type unreadable struct{ value.Transformer }

func (unreadable) TransformFromStorage(context.Context, []byte, value.Context) ([]byte, bool, error) {
	return nil, true, errors.New("bits flipped")
}

// keys are the names of the stored objects.
func (r *rig) keys(ctx context.Context) ([]string, error) {
	found, err := r.client.KV.Get(ctx, "/pods/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, err
	}
	var names []string
	for _, kv := range found.Kvs {
		names = append(names, string(kv.Key))
	}
	return names, nil
}

// stored checks what an object looks like in the store.
func (r *rig) stored(ctx context.Context, t *testing.T, key string) {
	found, err := r.client.KV.Get(ctx, key)
	if err != nil || len(found.Kvs) != 1 {
		t.Fatalf("%s: %v, %v", key, found, err)
	}
	object, err := runtime.Decode(r.codec, found.Kvs[0].Value[len(valuePrefix):])
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	if pod := object.(*example.Pod); pod.ResourceVersion != "" || pod.SelfLink != "" {
		t.Errorf("%s is stored with a resource version or a link: %+v", key, pod.ObjectMeta)
	}
}

// write makes a revision that is no object's.
func (r *rig) write(ctx context.Context, t *testing.T) int64 {
	put, err := r.client.KV.Put(ctx, "increaseRV", "ok")
	if err != nil {
		t.Fatal(err)
	}
	return put.Header.Revision
}

// compact compacts as kube-apiserver does and waits until the storage has seen it.
func (r *rig) compact(ctx context.Context, t *testing.T, resourceVersion string) {
	revision, err := apistorage.APIObjectVersioner{}.ParseResourceVersion(resourceVersion)
	if err != nil {
		t.Fatal(err)
	}
	version, _, _, err := etcd3.Compact(ctx, r.client, 0, int64(revision))
	if err != nil {
		// The first attempt learns the version of the compact key.
		_, _, _, err = etcd3.Compact(ctx, r.client, version, int64(revision))
	}
	if err != nil {
		t.Fatal(err)
	}
	if !utilfeature.DefaultFeatureGate.Enabled(features.ListFromCacheSnapshot) {
		return
	}
	until := time.Now().Add(30 * time.Second)
	for r.CompactRevision() != int64(revision) {
		if time.Now().After(until) {
			t.Fatalf("compaction at %d is not seen, only at %d", revision, r.CompactRevision())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// calls checks how often a paged list asked: pages double until they hold what is needed.
func (r *rig) calls(t *testing.T, pageSize, objects uint64) {
	if reads := r.prefixes.GetReadsAndReset(); reads != objects {
		t.Errorf("%d objects were read, not %d", reads, objects)
	}
	expected := uint64(1)
	if pageSize != 0 {
		limit := pageSize
		for sum := uint64(1); sum < objects; expected++ {
			limit = min(2*limit, 10_000)
			sum += limit
		}
	}
	if reads := r.reads.GetReadsAndReset(); reads != expected {
		t.Fatalf("%d range requests were sent, not %d", reads, expected)
	}
}
