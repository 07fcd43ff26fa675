package memory

import (
	"context"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// End removes the session kept under id, whichever it is. What is no session stays and is returned.
func (s *Store) End(ctx context.Context, id ident.ID) (left *record.Record, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sh, hash := s.locate(&id)
	var ev events
	left, err = sh.end(hash, &id, time.Now().UnixMilli(), &ev)
	s.announce(&ev)
	return left, err
}

func (sh *shard) end(hash uint32, id *ident.ID, now int64, ev *events) (left *record.Record, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, ok := sh.table.find(hash, id)
	if !ok {
		return nil, record.ErrNotFound
	}
	switch there := sh.use(i, now); {
	case there == nil:
		return nil, record.ErrNotFound
	case !there.Live():
		return there, nil
	}
	sh.remove(i, ev)
	return nil, nil
}
