package podnetwork

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
)

// A file of ours is no larger than this.
const maxLearned = 1 << 20

// learned is where other nodes' packets came from last, by public key. A node behind NAT is reached there and nowhere
// else, and speaks up by itself only when its session has aged: after a restart we have to know.
type learned map[string]whereabouts

type whereabouts struct {
	// Announced is what the node said of itself then; when it says something else now, the rest is worth nothing.
	Announced netip.AddrPort `json:"announced"`
	Seen      netip.AddrPort `json:"seen"`
}

// loadLearned reads what an earlier run has written; nothing is lost for good when it cannot be read.
func loadLearned(path string) learned {
	known := make(learned)
	file, err := os.Open(path)
	if err != nil {
		return known
	}
	defer file.Close()
	if json.NewDecoder(io.LimitReader(file, maxLearned)).Decode(&known) != nil {
		return make(learned)
	}
	return known
}

// save replaces the file whole.
func (l learned) save(path string) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// endpoint is where to look for a peer first.
func (l learned) endpoint(peer peer) netip.AddrPort {
	if known, is := l[peer.key]; is && known.Announced == peer.endpoint && known.Seen.IsValid() {
		return known.Seen
	}
	return peer.endpoint
}

// endpoints reads a device's own account of its peers (WireGuard's configuration protocol, get=1).
func endpoints(account string) (map[string]netip.AddrPort, error) {
	found := make(map[string]netip.AddrPort)
	key := ""
	lines := bufio.NewScanner(strings.NewReader(account))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "=")
		switch name {
		case "public_key":
			key = value
		case "endpoint":
			if key == "" {
				return nil, errors.New("an endpoint before any peer")
			}
			// An address that cannot be read is one that is not known.
			if endpoint, err := netip.ParseAddrPort(value); err == nil {
				found[key] = endpoint
			}
		}
	}
	return found, lines.Err()
}
