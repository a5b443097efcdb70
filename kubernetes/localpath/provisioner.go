// Package localpath provisions volumes in a directory of the node that a pod was scheduled to: the storage class
// local-path of K3s. It runs beside the API server; what is done on a node is done by a short pod there.
package localpath

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const (
	// Name is what storage classes name.
	Name      = "rancher.io/local-path"
	namespace = "kube-system"
	// A helper may have to wait for its node.
	helperLimit = 2 * time.Minute
	lookAgain   = 500 * time.Millisecond
	base        = "/storage"
)

// Provisioner makes and removes directories below Root on nodes.
type Provisioner struct {
	Client kubernetes.Interface
	// Root is the directory on every node.
	Root string
	// Image of helpers; it is on every node already.
	Image string
}

// Provision makes a directory on the node that the scheduler chose.
func (p *Provisioner) Provision(
	ctx context.Context, options controller.ProvisionOptions,
) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	claim := options.PVC
	if options.SelectedNodeName == "" {
		return nil, controller.ProvisioningFinished, errors.New("no node was chosen: the class must be WaitForFirstConsumer")
	}
	if claim.Spec.Selector != nil {
		return nil, controller.ProvisioningFinished, errors.New("a claim for local-path cannot have a selector")
	}
	for _, mode := range claim.Spec.AccessModes {
		if mode != corev1.ReadWriteOnce && mode != corev1.ReadWriteOncePod {
			return nil, controller.ProvisioningFinished, fmt.Errorf("access mode %s: local-path gives ReadWriteOnce only", mode)
		}
	}
	if mode := claim.Spec.VolumeMode; mode != nil && *mode != corev1.PersistentVolumeFilesystem {
		return nil, controller.ProvisioningFinished, errors.New("local-path gives file systems, no block devices")
	}
	name := strings.Join([]string{options.PVName, claim.Namespace, claim.Name}, "_")
	script := `mkdir -p "$DIR" && chmod 0777 "$DIR"`
	if err := p.helper(ctx, "create-"+options.PVName, options.SelectedNodeName, name, script); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	kind := corev1.HostPathDirectory
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    claim.Spec.VolumeMode,
			Capacity: corev1.ResourceList{
				corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage],
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: path.Join(p.Root, name), Type: &kind},
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: only(options.SelectedNodeName)},
		},
	}, controller.ProvisioningFinished, nil
}

// Delete removes a volume's directory, unless its node is gone for good.
func (p *Provisioner) Delete(ctx context.Context, volume *corev1.PersistentVolume) error {
	node, name, err := p.where(volume)
	if err != nil {
		return err
	}
	_, err = p.Client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.helper(ctx, "delete-"+volume.Name, node, name, `rm -rf "$DIR"`)
}

// where is the node and the directory's name; anything that this provisioner would not have written is refused.
func (p *Provisioner) where(volume *corev1.PersistentVolume) (string, string, error) {
	source, affinity := volume.Spec.HostPath, volume.Spec.NodeAffinity
	if source == nil || path.Dir(path.Clean(source.Path)) != path.Clean(p.Root) {
		return "", "", &controller.IgnoredError{Reason: "the volume is no directory of local-path"}
	}
	if affinity == nil || affinity.Required == nil || len(affinity.Required.NodeSelectorTerms) != 1 {
		return "", "", &controller.IgnoredError{Reason: "the volume names no node"}
	}
	for _, term := range affinity.Required.NodeSelectorTerms[0].MatchFields {
		if term.Key == metav1.ObjectNameField && len(term.Values) == 1 {
			return term.Values[0], path.Base(source.Path), nil
		}
	}
	return "", "", &controller.IgnoredError{Reason: "the volume names no node"}
}

// only matches one node, by its name: labels are for others to change.
func only(node string) *corev1.NodeSelector {
	return &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchFields: []corev1.NodeSelectorRequirement{{
			Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
		}},
	}}}
}

// helper runs script on a node, with DIR as the path of the directory.
func (p *Provisioner) helper(ctx context.Context, name, node, dir, script string) error {
	pods := p.Client.CoreV1().Pods(namespace)
	pod := p.pod(name, node, dir, script)
	if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("starting a helper on %s: %w", node, err)
	}
	defer func() {
		now := int64(0)
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		// One that stays is finished, and found by its name when it is needed again.
		_ = pods.Delete(clean, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	}()
	err := wait.PollUntilContextTimeout(ctx, lookAgain, helperLimit, true, func(ctx context.Context) (bool, error) {
		seen, err := pods.Get(ctx, pod.Name, metav1.GetOptions{})
		switch {
		case err != nil:
			return false, err
		case seen.Status.Phase == corev1.PodFailed:
			return false, fmt.Errorf("it failed: %s", seen.Status.Message)
		}
		return seen.Status.Phase == corev1.PodSucceeded, nil
	})
	if err != nil {
		return fmt.Errorf("the helper %s on %s: %w", pod.Name, node, err)
	}
	return nil
}

func (p *Provisioner) pod(name, node, dir, script string) *corev1.Pod {
	kind := corev1.HostPathDirectoryOrCreate
	no := false
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "local-path-" + name,
			Labels: map[string]string{"app.kubernetes.io/managed-by": "k3s-daas", "app": "local-path-helper"},
		},
		Spec: corev1.PodSpec{
			NodeName:                     node,
			RestartPolicy:                corev1.RestartPolicyNever,
			HostNetwork:                  true, // the pod network may not be up yet
			AutomountServiceAccountToken: &no,
			EnableServiceLinks:           &no,
			Tolerations:                  []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers: []corev1.Container{{
				Name: "helper", Image: p.Image, ImagePullPolicy: corev1.PullNever,
				Command:      []string{"/bin/busybox", "sh", "-c", script},
				Env:          []corev1.EnvVar{{Name: "DIR", Value: path.Join(base, dir)}},
				VolumeMounts: []corev1.VolumeMount{{Name: "storage", MountPath: base}},
			}},
			Volumes: []corev1.Volume{{
				Name: "storage",
				VolumeSource: corev1.VolumeSource{
					HostPath: &corev1.HostPathVolumeSource{Path: p.Root, Type: &kind},
				},
			}},
		},
	}
}
