package localpath

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// provisioner talks to an API where helpers end as they are told to.
func provisioner(phase corev1.PodPhase, ran *[]*corev1.Pod) *Provisioner {
	client := fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	client.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		pod := action.(clienttesting.CreateAction).GetObject().(*corev1.Pod)
		pod.Status.Phase = phase
		*ran = append(*ran, pod.DeepCopy())
		return false, nil, nil
	})
	return &Provisioner{Client: client, Root: "/data", Image: "busybox"}
}

func options(modes ...corev1.PersistentVolumeAccessMode) controller.ProvisionOptions {
	policy := corev1.PersistentVolumeReclaimDelete
	return controller.ProvisionOptions{
		PVName: "pvc-1", SelectedNodeName: "n1", StorageClass: &storagev1.StorageClass{ReclaimPolicy: &policy},
		PVC: &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "data"},
			Spec:       corev1.PersistentVolumeClaimSpec{AccessModes: modes},
		},
	}
}

func TestAVolumeIsMadeAndRemovedOnItsNode(t *testing.T) {
	var ran []*corev1.Pod
	p := provisioner(corev1.PodSucceeded, &ran)
	volume, _, err := p.Provision(context.Background(), options(corev1.ReadWriteOnce))
	if err != nil {
		t.Fatal(err)
	}
	if volume.Spec.HostPath.Path != "/data/pvc-1_web_data" {
		t.Errorf("path %q", volume.Spec.HostPath.Path)
	}
	if err := p.Delete(context.Background(), volume); err != nil {
		t.Fatal(err)
	}
	if len(ran) != 2 || ran[0].Spec.NodeName != "n1" || !strings.HasPrefix(ran[1].Spec.Containers[0].Command[3], "rm -rf") {
		t.Errorf("helpers: %+v", ran)
	}
	for _, pod := range ran {
		if pod.Spec.Containers[0].Env[0].Value != "/storage/pvc-1_web_data" {
			t.Errorf("directory %q", pod.Spec.Containers[0].Env[0].Value)
		}
	}
	left, err := p.Client.CoreV1().Pods(namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil || len(left.Items) != 0 {
		t.Errorf("helpers stay: %v %v", left, err)
	}
}

func TestWhatItCannotGiveIsRefused(t *testing.T) {
	var ran []*corev1.Pod
	p := provisioner(corev1.PodSucceeded, &ran)
	if _, _, err := p.Provision(context.Background(), options(corev1.ReadWriteMany)); err == nil {
		t.Error("ReadWriteMany")
	}
	nowhere := options(corev1.ReadWriteOnce)
	nowhere.SelectedNodeName = ""
	if _, _, err := p.Provision(context.Background(), nowhere); err == nil {
		t.Error("no node")
	}
	if len(ran) != 0 {
		t.Errorf("helpers ran: %v", ran)
	}
	if _, _, err := provisioner(corev1.PodFailed, &ran).Provision(context.Background(), options(corev1.ReadWriteOnce)); err == nil {
		t.Error("a helper that failed")
	}
}

func TestOnlyItsOwnDirectoriesAreRemoved(t *testing.T) {
	var ran []*corev1.Pod
	p := provisioner(corev1.PodSucceeded, &ran)
	for _, path := range []string{"/etc", "/data", "/data/../etc/x", "/data/a/b"} {
		volume := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}},
			NodeAffinity:           &corev1.VolumeNodeAffinity{Required: only("n1")},
		}}
		var ignored *controller.IgnoredError
		if err := p.Delete(context.Background(), volume); !errors.As(err, &ignored) {
			t.Errorf("%s: %v", path, err)
		}
	}
	gone := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data/x"}},
		NodeAffinity:           &corev1.VolumeNodeAffinity{Required: only("gone")},
	}}
	if err := p.Delete(context.Background(), gone); err != nil || len(ran) != 0 {
		t.Errorf("a node that is gone: %v %v", err, ran)
	}
}
