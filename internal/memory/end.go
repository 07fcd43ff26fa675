package memory

import (
	"context"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// End removes the session kept under id, whichever it is, and returns it. What is no session stays and is returned.
func (s *Store) End(ctx context.Context, id ident.ID) (was *record.Record, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sh, hash := s.locate(&id)
	var ev events
	was = sh.end(hash, &id, time.Now().UnixMilli(), &ev)
	s.announce(&ev)
	if was == nil {
		return nil, record.ErrNotFound
	}
	return was, nil
}

// end returns what was there, nil if nothing was.
func (sh *shard) end(hash uint32, id *ident.ID, now int64, ev *events) (was *record.Record) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, ok := sh.table.find(hash, id)
	if !ok {
		return nil
	}
	was = sh.use(i, now)
	if was != nil && was.Live() {
		sh.remove(i, ev)
	}
	return was
}
