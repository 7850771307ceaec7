package steps

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"tandem/ops"
)

// The kinds of steps, as journals name them.
const (
	KindLock    = "lock"
	KindUnlock  = "unlock"
	KindDrain   = "drain"
	KindPutBack = "put-back"
	KindRestart = "restart"
	KindSwap    = "swap"
	KindCanary  = "canary"
	KindVerify  = "verify"
	KindSoak    = "soak"

	KindHold           = "hold"
	KindStop           = "stop"
	KindReboot         = "reboot"
	KindRemove         = "remove"
	KindRemoveNetworks = "remove-networks"
	KindPools          = "pools"
	KindMakeNetworks   = "make-networks"
	KindStart          = "start"
	KindUnhold         = "unhold"
	KindPreflight      = "preflight"
	KindComposeProbe   = "compose-probe"
	KindJob            = "job"

	KindRefresh       = "refresh"
	KindFetch         = "fetch"
	KindInstall       = "install"
	KindRestartEngine = "restart-engine"
	KindWake          = "wake"
	KindHoldPackages  = "hold-packages"
)

// kinds is the one list of steps.
var kinds = map[string]func([]byte) (ops.Step, error){
	KindLock:    decode[Lock],
	KindUnlock:  decode[Unlock],
	KindDrain:   decode[Drain],
	KindPutBack: decode[PutBack],
	KindRestart: decode[Restart],
	KindSwap:    decode[Swap],
	KindCanary:  decode[Canary],
	KindVerify:  decode[Verify],
	KindSoak:    decode[Soak],

	KindStart:     decode[Start],
	KindUnhold:    decode[Unhold],
	KindPreflight: decode[Preflight],

	KindComposeProbe: decode[ComposeProbe],
	KindJob:          decode[Job],

	KindHold:           decode[Hold],
	KindStop:           decode[Stop],
	KindReboot:         decode[Reboot],
	KindRemove:         decode[Remove],
	KindRemoveNetworks: decode[RemoveNetworks],
	KindPools:          decode[Pools],
	KindMakeNetworks:   decode[MakeNetworks],

	KindRefresh:       decode[Refresh],
	KindFetch:         decode[Fetch],
	KindInstall:       decode[Install],
	KindRestartEngine: decode[RestartEngine],
	KindWake:          decode[Wake],
	KindHoldPackages:  decode[HoldPackages],
}

// Decode rebuilds a step from its kind and data. It is strict: a field that this version
// does not know may carry a promise that it would not keep.
func Decode(kind string, data json.RawMessage) (ops.Step, error) {
	make, ok := kinds[kind]
	if !ok {
		return nil, fmt.Errorf("step %q is not known to this version of tandem", kind)
	}
	step, err := make(data)
	if err != nil {
		return nil, fmt.Errorf("reading the data of a %s step: %w", kind, err)
	}
	return step, nil
}

func decode[S ops.Step](data []byte) (ops.Step, error) {
	var step S
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&step); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("something follows the data")
	}
	return step, nil
}
