package cookies

import (
	"iter"
	"math/rand/v2"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/sign"
)

// maxCandidates is how many different ids and how many different signatures of a request are looked at. Several arrive
// when cookies of our name were set for another path or domain. The bound keeps a hostile header from costing more than
// four signatures by each key and four look-ups.
const maxCandidates = 4

// Presented is what a request presents: the first well-formed ids and the first signatures of plausible length, in the
// order of the header. It holds them by value, so that nobody has to look at the header again. An id is a candidate if
// one of the signatures is good for it; one candidate is selected.
//
//	for ok := w.Find(p, h); ok; ok = p.Next() {
//		lookUp(p.ID())
//	}
//
// It is for one goroutine at a time.
type Presented struct {
	ids    [maxCandidates]ident.ID
	sigs   [maxCandidates]sign.Signature
	proofs [maxCandidates]proof // of the ids
	nIDs   int
	nSigs  int

	ring   *sign.Ring // the keys that were valid when the request came; nil: ids need no signature
	at     int        // the selected id
	stripe uint32     // of the ring's counts
}

// proof is what is known of an id.
type proof struct {
	state proofState
	sig   uint8  // if signed: the index of its signature in sigs
	key   uint32 // and that of the key which made it
}

type proofState uint8

const (
	unproved proofState = iota // not yet looked at
	unsigned                   // no signature is good for it
	signed
)

// Take sets p to an id and its signature that came some other way. It reports false if they are not good; k is nil where
// there is no signature.
func (p *Presented) Take(id, sig []byte, k *sign.Keyring) (ok bool) {
	p.begin(k.Ring())
	p.addID(id)
	p.addSignature(sig)
	return p.selectFrom(0)
}

// Next selects the next candidate. It reports false if there is none, and then keeps the selection.
func (p *Presented) Next() bool { return p.selectFrom(p.at + 1) }

// Some reports whether there was an id, a candidate or not.
func (p *Presented) Some() bool { return p.nIDs > 0 }

// ID returns the selected id.
func (p *Presented) ID() *ident.ID { return &p.ids[p.at] }

// Key returns the index of the key that has signed the selected id, in the ring that was valid when the request came.
func (p *Presented) Key() int { return int(p.proofs[p.at].key) }

// Signature returns the signature of id for [Writer.Write], if p has selected that id and the present first key has signed
// it; else nil.
func (w *Writer) Signature(p *Presented, id *ident.ID) []byte {
	f := p.proofs[p.at]
	if f.state != signed || f.key != 0 || p.ring != w.keys.Ring() || *p.ID() != *id {
		return nil
	}
	return p.sigs[f.sig].Bytes()
}

// Candidates are all the ids that have a good signature, in the order of the header. The selection stays.
func (p *Presented) Candidates() iter.Seq[*ident.ID] {
	return func(yield func(*ident.ID) bool) {
		for i := range p.nIDs {
			if p.proved(i) && !yield(&p.ids[i]) {
				return
			}
		}
	}
}

// Reset erases what the request has presented.
func (p *Presented) Reset() {
	for i := range p.nIDs {
		p.ids[i], p.proofs[i] = ident.ID{}, proof{}
	}
	for i := range p.nSigs {
		p.sigs[i] = sign.Signature{}
	}
	p.nIDs, p.nSigs, p.at, p.ring = 0, 0, 0, nil
}

// begin makes p empty, for a request that is verified by ring.
func (p *Presented) begin(ring *sign.Ring) {
	if p.nIDs|p.nSigs != 0 { // Of a request that presented nothing good.
		p.Reset()
	}
	p.ring = ring
}

// count counts that an id was taken because of the key's signature.
func (p *Presented) count(key int) {
	if p.stripe == 0 {
		p.stripe = rand.Uint32() | 1<<31
	}
	p.ring.Take(key, p.stripe)
}

// selectFrom selects the first candidate whose index is i or more.
func (p *Presented) selectFrom(i int) bool {
	for ; i < p.nIDs; i++ {
		if p.proved(i) {
			p.at = i
			if p.ring != nil {
				p.count(int(p.proofs[i].key))
			}
			return true
		}
	}
	return false
}

// proved reports whether id i is a candidate. It verifies an id once.
func (p *Presented) proved(i int) bool {
	if p.ring == nil {
		return true
	}
	f := &p.proofs[i]
	if f.state == unproved {
		f.state = unsigned
		if sig, key, ok := p.ring.VerifyAny(&p.ids[i], p.sigs[:p.nSigs]); ok {
			*f = proof{signed, uint8(sig), uint32(key)}
		}
	}
	return f.state == signed
}

// addID adds value to the ids, unless it is no id, or there already, or one too many.
func (p *Presented) addID(value []byte) {
	if p.nIDs == maxCandidates || !ident.SetID(&p.ids[p.nIDs], value) {
		return
	}
	for i := range p.nIDs {
		if p.ids[i] == p.ids[p.nIDs] {
			p.ids[p.nIDs] = ident.ID{}
			return
		}
	}
	p.nIDs++
}

// addSignature adds value to the signatures, unless it is none, or there already, or one too many.
func (p *Presented) addSignature(value []byte) {
	if p.nSigs == maxCandidates || !sign.IsSignatureLen(len(value)) {
		return
	}
	p.sigs[p.nSigs].Set(value)
	for i := range p.nSigs {
		if p.sigs[i] == p.sigs[p.nSigs] {
			p.sigs[p.nSigs] = sign.Signature{}
			return
		}
	}
	p.nSigs++
}
