package ident

import (
	"strings"
	"sync"
	"testing"
)

func TestRandomIDsAre32CharactersAndNeverTheSame(t *testing.T) {
	var source Source
	const goroutines, each = 8, 2_000
	ids := make([][]ID, goroutines)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for range each {
				ids[g] = append(ids[g], source.RandomID())
			}
		})
	}
	wg.Wait()
	seen := make(map[ID]bool)
	letters := make(map[rune]int)
	for _, list := range ids {
		for _, id := range list {
			if text := id.Value(); len(text) != 32 || strings.Trim(text, base64URL) != "" {
				t.Fatalf("got %d characters, want 32 of base64url", len(text))
			} else if parsed, err := ParseID(text); err != nil || parsed != id {
				t.Fatalf("ParseID: got %v, want the same id", err)
			}
			for _, c := range id.Value() {
				letters[c]++
			}
			seen[id] = true
		}
	}
	if got, want := len(seen), goroutines*each; got != want {
		t.Errorf("different ids: got %d, want %d", got, want)
	}
	if len(letters) != 64 {
		t.Errorf("different characters: got %d, want 64", len(letters))
	}
}

func TestRandomBytesAreErasedAfterUse(t *testing.T) {
	var source Source
	batch := &randomBatch{used: idBatch * randomIDBytes}
	for n := 1; n <= idBatch; n++ {
		source.pool = sync.Pool{New: func() any { return batch }}
		source.RandomID()
		for i, b := range batch.bytes[:n*randomIDBytes] {
			if b != 0 {
				t.Fatalf("after %d ids, byte %d: got %d, want 0", n, i, b)
			}
		}
		if batch.used != n*randomIDBytes {
			t.Fatalf("after %d ids: got %d bytes used, want %d", n, batch.used, n*randomIDBytes)
		}
	}
}

func BenchmarkRandomID(b *testing.B) {
	var source Source
	b.ReportAllocs()
	for b.Loop() {
		source.RandomID()
	}
}

const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
