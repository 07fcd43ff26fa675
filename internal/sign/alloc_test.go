//go:build !race

package sign

import "testing"

// Under the race detector sync.Pool drops things at random.
func TestSigningAndVerifyingAllocateNothing(t *testing.T) {
	id := testID(t, testIDText)
	keys := NewKeyring([]Key{SHA256Key(longKey), SHA1Key(otherKey)}, "koa.sid", false)
	buf := make([]byte, 0, 256)
	token := token(t, keys, "csrf", &id)
	mac := string(keys.UserMAC(nil, &id, "ann", 1))
	type test struct {
		name string
		run  func()
	}
	tests := []test{
		{"sign", func() { buf = keys.Sign(buf[:0], &id) }},
		{"token", func() { buf, _ = keys.Token(buf[:0], "csrf", &id) }},
		{"check a token", func() { keys.CheckToken("csrf", &id, token) }},
		{"user's MAC", func() { buf = keys.UserMAC(buf[:0], &id, "ann", 1) }},
		{"check a user's MAC", func() { keys.CheckUserMAC(mac, &id, "ann", 1) }},
	}
	for i, k := range keys.Ring().keys {
		sigs := signatures(k.sign(nil, &id))
		tests = append(tests,
			test{"verify, key " + string(rune('0'+i)), func() { k.verify(&id, sigs) }},
			test{"recall, key " + string(rune('0'+i)), func() { keys.Verify(&id, sigs[0].Bytes()) }})
	}
	for _, c := range tests {
		c.run()
		if got := testing.AllocsPerRun(100, c.run); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", c.name, got)
		}
	}
}
