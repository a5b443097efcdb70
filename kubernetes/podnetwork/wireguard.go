package podnetwork

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/flannel-io/flannel/pkg/backend"
	"github.com/flannel-io/flannel/pkg/ip"
	"github.com/flannel-io/flannel/pkg/lease"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/vishvananda/netlink"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
	"k8s.io/klog/v2"
)

const (
	wireguardType = "wireguard"
	// The device's name and the bytes that a packet grows by, as in flannel's back end for the kernel.
	deviceName = "flannel-wg"
	overhead   = 80
	probeName  = "k3s-daas-probe"
	// How often it is looked where peers are.
	lookAtPeers = 5 * time.Second
)

// kernelHasWireguard tries: a module that is not loaded yet is loaded by this.
func kernelHasWireguard() bool {
	probe := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Name: probeName}, LinkType: "wireguard"}
	if err := netlink.LinkAdd(probe); err != nil && !errors.Is(err, syscall.EEXIST) {
		return false
	}
	if err := netlink.LinkDel(probe); err != nil {
		klog.ErrorS(err, "removing the probe device")
	}
	return true
}

// userspace is flannel's WireGuard back end for kernels without WireGuard: the same annotations, the same traffic on
// the wire, the device in this process.
type userspace struct {
	manager subnet.Manager
	iface   *backend.ExternalInterface
}

func newUserspace(manager subnet.Manager, iface *backend.ExternalInterface) *userspace {
	return &userspace{manager: manager, iface: iface}
}

type leaseData struct {
	PublicKey string
	Port      uint16
}

// RegisterNetwork makes the device and announces its key.
func (u *userspace) RegisterNetwork(
	ctx context.Context, group *sync.WaitGroup, config *subnet.Config,
) (backend.Network, error) {
	settings := struct {
		ListenPort                  uint16
		MTU                         int
		PersistentKeepaliveInterval uint16
	}{ListenPort: 51820, MTU: u.iface.Iface.MTU}
	if len(config.Backend) > 0 {
		if err := json.Unmarshal(config.Backend, &settings); err != nil {
			return nil, fmt.Errorf("back end's settings: %w", err)
		}
	}
	key, err := openKey(os.Getenv("WIREGUARD_KEY_FILE"))
	if err != nil {
		return nil, err
	}
	port, err := tun.CreateTUN(deviceName, settings.MTU-overhead)
	if err != nil {
		return nil, fmt.Errorf("making the device %s (is /dev/net/tun there?): %w", deviceName, err)
	}
	dev := device.NewDevice(port, conn.NewDefaultBind(), logger())
	group.Add(1)
	go func() {
		defer group.Done()
		<-ctx.Done()
		dev.Close()
	}()
	if err := dev.IpcSet(fmt.Sprintf("private_key=%s\nlisten_port=%d\n", hex.EncodeToString(key[:]), settings.ListenPort)); err != nil {
		return nil, fmt.Errorf("configuring the device: %w", err)
	}
	if err := dev.Up(); err != nil {
		return nil, fmt.Errorf("starting the device: %w", err)
	}
	data, err := json.Marshal(leaseData{PublicKey: key.PublicKey().String(), Port: settings.ListenPort})
	if err != nil {
		return nil, err
	}
	own, err := u.manager.AcquireLease(ctx, &lease.LeaseAttrs{
		PublicIP: ip.FromIP(u.iface.ExtAddr), BackendType: wireguardType, BackendData: data,
	})
	if err != nil {
		return nil, fmt.Errorf("announcing this node: %w", err)
	}
	if err := route(own.Subnet, config.Network); err != nil {
		return nil, err
	}
	return &network{
		dev: dev, own: own, manager: u.manager, mtu: settings.MTU - overhead,
		peers: newPeers(settings.PersistentKeepaliveInterval, loadLearned(peersFile())), peersFile: peersFile(),
	}, nil
}

// peersFile is beside the key.
func peersFile() string {
	return filepath.Join(filepath.Dir(os.Getenv("WIREGUARD_KEY_FILE")), "wireguard.peers")
}

// openKey reads a private key in WireGuard's base64, or makes one.
func openKey(path string) (wgtypes.Key, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		key, err := wgtypes.ParseKey(strings.TrimSpace(string(text)))
		if err != nil {
			return key, fmt.Errorf("%s holds no WireGuard key (remove it, and a new one is made): %w", path, err)
		}
		return key, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return wgtypes.Key{}, err
	}
	key, err := wgtypes.GeneratePrivateKey()
	if err != nil {
		return key, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return key, err
	}
	return key, os.WriteFile(path, []byte(key.String()), 0o600)
}

// route gives the device the first address of the node's range and all other pods as its destination.
func route(own, all ip.IP4Net) error {
	link, err := netlink.LinkByName(deviceName)
	if err != nil {
		return fmt.Errorf("finding the device: %w", err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: own.IP.ToIP(), Mask: net.CIDRMask(32, 32)}}
	if err := netlink.AddrReplace(link, address); err != nil {
		return fmt.Errorf("addressing the device: %w", err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("setting the device up: %w", err)
	}
	pods := &netlink.Route{LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: all.ToIPNet()}
	if err := netlink.RouteReplace(pods); err != nil {
		return fmt.Errorf("routing pods: %w", err)
	}
	return nil
}

type network struct {
	dev       *device.Device
	own       *lease.Lease
	manager   subnet.Manager
	mtu       int
	peers     *peers
	peersFile string
}

func (n *network) Lease() *lease.Lease { return n.own }

func (n *network) MTU() int { return n.mtu }

// Run follows the other nodes until ctx ends.
func (n *network) Run(ctx context.Context) {
	events := make(chan []lease.Event)
	go subnet.WatchLeases(ctx, n.manager, n.own, events)
	look := time.NewTicker(lookAtPeers)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			if err := n.remember(); err != nil {
				klog.ErrorS(err, "where other nodes are is not remembered")
			}
		case batch := <-events:
			for _, event := range batch {
				change, err := n.peers.change(event)
				if err == nil && change != "" {
					err = n.dev.IpcSet(change)
				}
				if err != nil {
					klog.ErrorS(err, "a node is left out of the pod network", "subnet", event.Lease.Subnet)
				}
			}
		}
	}
}

// remember writes down where peers are, when that has changed.
func (n *network) remember() error {
	account, err := n.dev.IpcGet()
	if err != nil {
		return err
	}
	seen, err := endpoints(account)
	if err != nil || !n.peers.saw(seen) {
		return err
	}
	return n.peers.learned.save(n.peersFile)
}

// peers decides what the device is told, without touching it.
type peers struct {
	keepalive uint16
	known     map[string]peer // by range of pod addresses
	learned   learned
}

type peer struct {
	key      string // hexadecimal
	endpoint netip.AddrPort
}

func newPeers(keepalive uint16, known learned) *peers {
	return &peers{keepalive: keepalive, known: make(map[string]peer), learned: known}
}

// saw takes in where peers are now; whether that is news. Nodes that are gone are forgotten.
func (p *peers) saw(endpoints map[string]netip.AddrPort) bool {
	now := make(learned)
	for _, peer := range p.known {
		if seen, is := endpoints[peer.key]; is {
			now[peer.key] = whereabouts{Announced: peer.endpoint, Seen: seen}
		}
	}
	if maps.Equal(now, p.learned) {
		return false
	}
	p.learned = now
	return true
}

// change is what the device has to be told for event, in the language of WireGuard's configuration protocol; nothing
// when it knows. An endpoint is said once: a node behind NAT is known better by where its packets came from last.
func (p *peers) change(event lease.Event) (string, error) {
	pods := event.Lease.Subnet.String()
	known, had := p.known[pods]
	forget := ""
	if had {
		forget = fmt.Sprintf("public_key=%s\nremove=true\n", known.key)
	}
	if event.Type == lease.EventRemoved {
		delete(p.known, pods)
		return forget, nil
	}
	if event.Lease.Attrs.BackendType != wireguardType {
		return "", fmt.Errorf("it uses %q and not %s", event.Lease.Attrs.BackendType, wireguardType)
	}
	now, err := read(event.Lease)
	if err != nil {
		return "", err
	}
	for other, peer := range p.known {
		if other != pods && peer.key == now.key {
			return "", fmt.Errorf("its key is that of the node with %s", other)
		}
	}
	if had && known == now {
		return "", nil
	}
	if !had || known.key == now.key {
		forget = ""
	}
	p.known[pods] = now
	return forget + fmt.Sprintf(
		"public_key=%s\nendpoint=%s\npersistent_keepalive_interval=%d\nreplace_allowed_ips=true\nallowed_ip=%s\n",
		now.key, p.learned.endpoint(now), p.keepalive, pods), nil
}

// read takes what another node says of itself. Nothing of it is trusted to be well-formed.
func read(other lease.Lease) (peer, error) {
	var data leaseData
	if err := json.Unmarshal(other.Attrs.BackendData, &data); err != nil {
		return peer{}, fmt.Errorf("its annotation cannot be read: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(data.PublicKey)
	if err != nil || len(key) != wgtypes.KeyLen {
		return peer{}, errors.New("its public key is no WireGuard key")
	}
	address, ok := netip.AddrFromSlice(other.Attrs.PublicIP.ToIP().To4())
	if !ok || data.Port == 0 {
		return peer{}, errors.New("it has no address and port")
	}
	return peer{key: hex.EncodeToString(key), endpoint: netip.AddrPortFrom(address, data.Port)}, nil
}

func logger() *device.Logger {
	return &device.Logger{
		Verbosef: func(format string, args ...any) { klog.V(4).Infof(format, args...) },
		Errorf:   func(format string, args ...any) { klog.Warningf(format, args...) },
	}
}
