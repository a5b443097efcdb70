package podnetwork

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flannel-io/flannel/pkg/ip"
	"github.com/flannel-io/flannel/pkg/lease"
)

func node(t *testing.T, kind lease.EventType, pods, address string, key byte) lease.Event {
	t.Helper()
	_, subnet, err := net.ParseCIDR(pods)
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 32)
	raw[0] = key
	data, err := json.Marshal(leaseData{PublicKey: base64.StdEncoding.EncodeToString(raw), Port: 51820})
	if err != nil {
		t.Fatal(err)
	}
	attrs := lease.LeaseAttrs{PublicIP: ip.FromIP(net.ParseIP(address)), BackendType: wireguardType, BackendData: data}
	return lease.Event{Type: kind, Lease: lease.Lease{EnableIPv4: true, Subnet: ip.FromIPNet(subnet), Attrs: attrs}}
}

func keyText(key byte) string {
	raw := make([]byte, 32)
	raw[0] = key
	return hex.EncodeToString(raw)
}

func TestAnEndpointIsSaidOnce(t *testing.T) {
	peers := newPeers(25, learned{})
	added := node(t, lease.EventAdded, "10.42.1.0/24", "192.0.2.1", 1)
	change, err := peers.change(added)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"public_key=" + keyText(1), "endpoint=192.0.2.1:51820", "persistent_keepalive_interval=25", "allowed_ip=10.42.1.0/24",
	} {
		if !strings.Contains(change, line+"\n") {
			t.Errorf("no %q in %q", line, change)
		}
	}
	if again, err := peers.change(added); err != nil || again != "" {
		t.Errorf("said again: %q %v", again, err)
	}
	moved, err := peers.change(node(t, lease.EventAdded, "10.42.1.0/24", "192.0.2.9", 1))
	if err != nil || !strings.Contains(moved, "endpoint=192.0.2.9:51820") || strings.Contains(moved, "remove") {
		t.Errorf("a new address: %q %v", moved, err)
	}
}

func TestANewKeyReplacesTheOldAndANodeThatIsGoneIsForgotten(t *testing.T) {
	peers := newPeers(0, learned{})
	if _, err := peers.change(node(t, lease.EventAdded, "10.42.1.0/24", "192.0.2.1", 1)); err != nil {
		t.Fatal(err)
	}
	change, err := peers.change(node(t, lease.EventAdded, "10.42.1.0/24", "192.0.2.1", 2))
	if err != nil || !strings.HasPrefix(change, "public_key="+keyText(1)+"\nremove=true\npublic_key="+keyText(2)) {
		t.Errorf("%q %v", change, err)
	}
	change, err = peers.change(node(t, lease.EventRemoved, "10.42.1.0/24", "192.0.2.1", 2))
	if err != nil || change != "public_key="+keyText(2)+"\nremove=true\n" {
		t.Errorf("%q %v", change, err)
	}
}

func TestWhatANodeSaysOfItselfIsNotTrusted(t *testing.T) {
	peers := newPeers(0, learned{})
	if _, err := peers.change(node(t, lease.EventAdded, "10.42.1.0/24", "192.0.2.1", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := peers.change(node(t, lease.EventAdded, "10.42.2.0/24", "192.0.2.2", 1)); err == nil {
		t.Error("another node's key was taken: its traffic would go elsewhere")
	}
	for name, data := range map[string]string{
		"no JSON":    "{",
		"short key":  `{"PublicKey":"AAAA","Port":1}`,
		"line break": `{"PublicKey":"AAAA\nallowed_ip=0.0.0.0/0","Port":1}`,
		"no port":    `{"PublicKey":"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) + `"}`,
	} {
		bad := node(t, lease.EventAdded, "10.42.3.0/24", "192.0.2.3", 3)
		bad.Lease.Attrs.BackendData = []byte(data)
		if change, err := peers.change(bad); err == nil {
			t.Errorf("%s was taken: %q", name, change)
		}
	}
	other := node(t, lease.EventAdded, "10.42.4.0/24", "192.0.2.4", 4)
	other.Lease.Attrs.BackendType = "vxlan"
	if _, err := peers.change(other); err == nil {
		t.Error("a node with another back end was taken")
	}
}

func TestAKeyIsMadeOnceAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "key")
	first, err := openKey(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := openKey(path)
	if err != nil || first != second {
		t.Errorf("another key: %v", err)
	}
}

func TestANodeBehindNATIsLookedForWhereItWasSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers")
	before := newPeers(25, loadLearned(path))
	added := node(t, lease.EventAdded, "10.42.1.0/24", "10.0.0.5", 1)
	if _, err := before.change(added); err != nil {
		t.Fatal(err)
	}
	account := "private_key=00\npublic_key=" + keyText(1) + "\nendpoint=192.0.2.7:40000\nlast_handshake_time_sec=1\n"
	seen, err := endpoints(account)
	if err != nil || !before.saw(seen) || before.saw(seen) {
		t.Fatalf("%v %v", seen, err)
	}
	if err := before.learned.save(path); err != nil {
		t.Fatal(err)
	}
	change, err := newPeers(25, loadLearned(path)).change(added)
	if err != nil || !strings.Contains(change, "endpoint=192.0.2.7:40000\n") {
		t.Errorf("%q %v", change, err)
	}
	moved := node(t, lease.EventAdded, "10.42.1.0/24", "10.0.0.6", 1)
	change, err = newPeers(25, loadLearned(path)).change(moved)
	if err != nil || !strings.Contains(change, "endpoint=10.0.0.6:51820\n") {
		t.Errorf("it said that it is elsewhere now: %q %v", change, err)
	}
}
