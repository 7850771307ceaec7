package steps

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMadeOtherwise(t *testing.T) {
	const was = `{
		"Config": {"Env": ["PATH=/bin", "TOKEN=s3cret", "OLD=1"], "Labels": {"team": "tis", "com.docker.compose.version": "1.29.2"}},
		"HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": "", "HostPort": "8093"}], "9000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9000"}]}},
		"Mounts": [{"Type": "bind", "Source": "/srv/a", "Destination": "/a", "RW": true}, {"Type": "volume", "Name": "v", "Source": "/var/lib/docker/volumes/v/_data", "Destination": "/v", "RW": true}]
	}`
	for name, test := range map[string]struct {
		is   string
		want []string
	}{
		"the same": {was, nil},
		"the same in other words": {`{
			"Config": {"Env": ["OLD=1", "TOKEN=s3cret", "PATH=/bin"], "Labels": {"team": "tis", "com.docker.compose.version": "2.26.1", "com.docker.compose.image": "sha256:1"}},
			"HostConfig": {"PortBindings": {"9000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9000"}], "8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8093"}]}},
			"Mounts": [{"Type": "volume", "Name": "v", "Source": "/docker/volumes/v/_data", "Destination": "/v", "RW": true}, {"Type": "bind", "Source": "/srv/a", "Destination": "/a", "RW": true}]
		}`, nil},
		"all otherwise": {`{
			"Config": {"Env": ["PATH=/bin", "TOKEN=other", "NEW=1"], "Labels": {"team": "esr", "more": "x"}},
			"HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": "", "HostPort": "8094"}]}},
			"Mounts": [{"Type": "bind", "Source": "/srv/b", "Destination": "/a", "RW": true}, {"Type": "volume", "Name": "v", "Destination": "/v", "RW": false}]
		}`, []string{
			"its environment: NEW (new), OLD (gone), TOKEN (changed)", "its ports: 8080/tcp (changed), 9000/tcp (gone)",
			"its mounts: /a (changed), /v (changed)", "its labels: more (new), team (changed)",
		}},
	} {
		got, err := madeOtherwise(json.RawMessage(was), json.RawMessage(test.is))
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	if _, err := madeOtherwise(json.RawMessage(was), json.RawMessage("[")); err == nil {
		t.Error("half an inspect is read")
	}
}
