package sess

import (
	"github.com/gofiber/fiber/v3"
	"github.com/redis/rueidis"

	core "github.com/fibersess/sess"
)

// The store on Redis.
type (
	RueidisStore   = core.RueidisStore
	RueidisConfig  = core.RueidisConfig
	RueidisStats   = core.RueidisStats
	RueidisStorage = core.RueidisStorage
	RedisError     = core.RedisError
)

// The reasons for which a store cannot be opened that a program may want to tell apart. Compare with errors.Is.
var (
	ErrRedisAuth    = core.ErrRedisAuth
	ErrRedisReplica = core.ErrRedisReplica
	ErrRedisVersion = core.ErrRedisVersion
)

// NewRueidisStore connects to Redis and returns a store with a near cache. Its method Storage returns a fiber.Storage for
// Fiber's own middleware.
func NewRueidisStore(option rueidis.ClientOption, config ...RueidisConfig) (*RueidisStore, error) {
	return core.NewRueidisStore(option, config...)
}

// NewRueidisStoreFromClient returns a store on a client of the application's, without a near cache.
func NewRueidisStoreFromClient(client rueidis.Client, config ...RueidisConfig) (*RueidisStore, error) {
	return core.NewRueidisStoreFromClient(client, config...)
}

// What RueidisStore.Storage returns is a fiber.Storage of Fiber v3 too.
var _ fiber.Storage = RueidisStorage(nil)
