package lab_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"tandem/ops/lab"
)

const pools = `{"default-address-pools": [{"base": "10.200.0.0/16", "size": 24}]}`

// TestPools: the pools are those of the daemon's start, and networks that are there stay.
func TestPools(t *testing.T) {
	l := start(t, lab.Options{})
	c := dial(t, l, "green")
	d := docker(t, c)
	made := func(name string) netip.Prefix {
		t.Helper()
		if _, err := d.NetworkCreate(t.Context(), name, network.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		n, err := d.NetworkInspect(t.Context(), name, network.InspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return netip.MustParsePrefix(n.IPAM.Config[0].Subnet)
	}
	exec(t, c, "sudo -n tee /etc/docker/daemon.json", pools)
	if got := made("before").String(); got != "172.19.0.0/16" {
		t.Errorf("before the restart: %s", got)
	}
	if info, err := d.Info(t.Context()); err != nil || info.DefaultAddressPools != nil {
		t.Errorf("pools %v, %v", info.DefaultAddressPools, err)
	}
	if _, errs, status := exec(t, c, "sudo -n systemctl restart docker", ""); status != 0 {
		t.Fatal(errs)
	}
	info, err := d.Info(t.Context())
	if err != nil || len(info.DefaultAddressPools) != 1 || info.DefaultAddressPools[0].Base != "10.200.0.0/16" || info.DefaultAddressPools[0].Size != 24 {
		t.Errorf("pools %v, %v", info.DefaultAddressPools, err)
	}
	if got := made("after").String(); got != "10.200.1.0/24" { // the first is docker0's
		t.Errorf("after the restart: %s", got)
	}
	out, _, _ := exec(t, c, "ip -4 route show table all; ip -o -4 addr show", "")
	for _, want := range []string{"10.200.0.0/24 dev docker0", "172.18.0.0/16 dev br-", "inet 10.0.1.12/24", "default via 10.0.1.1"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// TestAPoolOverTheConsole: docker0 takes the console's range, and the host answers into it.
// To take the pools back is not enough, nor is it to delete docker0, which the engine makes
// again as it was: it has to start with pools of docker0's old range first.
func TestAPoolOverTheConsole(t *testing.T) {
	l := start(t, lab.Options{})
	h, c := l.World().Host("green"), dial(t, l, "green")
	if out, _, _ := exec(t, c, "echo ${SSH_CONNECTION%% *}; sudo -n sh -c 'echo [$SSH_CONNECTION]'", ""); out != "10.0.7.9\n[]\n" {
		t.Errorf("the console is %q", out)
	}
	exec(t, c, "sudo -n cp /etc/docker/daemon.json /root/backup; sudo -n tee /etc/docker/daemon.json", `{"default-address-pools": [{"base": "10.0.7.0/24", "size": 24}]}`)
	exec(t, c, "sudo -n tee /root/between", `{"default-address-pools": [{"base": "172.17.0.0/16", "size": 16}]}`)
	exec(t, c, "sudo -n systemd-run --unit=back --on-active=20 sh -c 'cp /root/between /etc/docker/daemon.json; systemctl restart docker; cp /root/backup /etc/docker/daemon.json; systemctl restart docker'; sudo -n systemd-run --on-active=1 systemctl restart docker", "")
	eventually(t, "the host is cut off", h.CutOff)
	eventually(t, "the host reverts alone", func() bool { return !h.CutOff() })
	eventually(t, "docker0 has its old range", func() bool {
		out, _, _ := exec(t, c, "ip route show", "")
		return strings.Contains(out, "172.17.0.0/16 dev docker0")
	})
}

func TestANetworkMadeAnewIsAnother(t *testing.T) {
	l := start(t, lab.Options{})
	d := docker(t, dial(t, l, "blue"))
	if err := d.NetworkRemove(t.Context(), "tis_default"); err == nil || !strings.Contains(err.Error(), "has active endpoints") {
		t.Errorf("a network in use was removed: %v", err)
	}
	for _, name := range []string{"tis_apache_1", "tis_admins-ui_1"} {
		if err := d.ContainerStop(t.Context(), name, container.StopOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := d.NetworkDisconnect(t.Context(), "tis_default", name, false); err != nil {
			t.Fatal(err)
		}
	}
	made, err := d.NetworkCreate(t.Context(), "front", network.CreateOptions{Labels: map[string]string{"a": "b"}, IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: "10.9.0.0/24", Gateway: "10.9.0.1"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.NetworkConnect(t.Context(), "front", "tis_admins-ui_1", &network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: "10.9.0.77"}}); err != nil {
		t.Fatal(err)
	}
	if err := d.ContainerStart(t.Context(), "tis_admins-ui_1", container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	n, err := d.NetworkInspect(t.Context(), "front", network.InspectOptions{})
	if err != nil || len(n.Containers) != 1 {
		t.Fatalf("%+v, %v", n, err)
	}
	for _, c := range n.Containers {
		if c.IPv4Address != "10.9.0.77/24" {
			t.Errorf("the address is %s", c.IPv4Address)
		}
	}
	if err := d.ContainerStop(t.Context(), "tis_admins-ui_1", container.StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := d.NetworkRemove(t.Context(), "front"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.NetworkCreate(t.Context(), "front", network.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	err = d.ContainerStart(t.Context(), "tis_admins-ui_1", container.StartOptions{})
	if err == nil || !strings.Contains(err.Error(), "network "+made.ID+" not found") {
		t.Errorf("started into a network that is gone: %v", err)
	}
	if _, err := d.NetworkCreate(t.Context(), "twice", network.CreateOptions{IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: "172.18.4.0/24"}}}}); err == nil || !strings.Contains(err.Error(), "Pool overlaps") {
		t.Errorf("an overlapping range: %v", err)
	}
}

func TestAnonymousVolumes(t *testing.T) {
	l := start(t, lab.Options{})
	h, d := l.World().Host("blue"), docker(t, dial(t, l, "blue"))
	volume := func(name string) string {
		t.Helper()
		c, err := d.ContainerInspect(t.Context(), name)
		if err != nil || len(c.Mounts) != 2 || c.Mounts[1].Type != "volume" || len(c.Mounts[1].Name) != 64 {
			t.Fatalf("%+v, %v", c.Mounts, err)
		}
		return c.Mounts[1].Name
	}
	first := volume("tis_sync_1")
	old, err := d.ContainerInspect(t.Context(), "tis_sync_1")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.ContainerRemove(t.Context(), "tis_sync_1", container.RemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(h.Volumes(), first) {
		t.Fatal("the volume went with the container")
	}
	old.HostConfig.Binds = append(old.HostConfig.Binds, first+":/var/spool/sync:rw")
	if _, err := d.ContainerCreate(t.Context(), old.Config, old.HostConfig, nil, nil, "tis_sync_1"); err != nil {
		t.Fatal(err)
	}
	if got := volume("tis_sync_1"); got != first {
		t.Errorf("another volume: %s", got)
	}
	if err := d.ContainerRemove(t.Context(), "tis_sync_1", container.RemoveOptions{RemoveVolumes: true}); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(h.Volumes(), first) {
		t.Error("v=1 left the volume")
	}
}
