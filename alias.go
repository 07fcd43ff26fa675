package sess

import (
	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/sign"
)

type Cookie = cookies.Cookie

var ErrCorrupt = record.ErrCorrupt
var ErrTooLarge = record.ErrTooLarge

type ID = ident.ID
type Key = sign.Key

var ParseID = ident.ParseID
var ParseRecord = record.ParseRecord

type Record = record.Record
type SameSite = cookies.SameSite

const SameSiteDangerouslyUnset = cookies.SameSiteDangerouslyUnset
const SameSiteLax = cookies.SameSiteLax
const SameSiteNone = cookies.SameSiteNone
const SameSiteStrict = cookies.SameSiteStrict
const SecureAlways = cookies.SecureAlways
const SecureAuto = cookies.SecureAuto

type SecureMode = cookies.SecureMode

const SecureNever = cookies.SecureNever

// Keys returns a key of each secret.
func Keys[T string | []byte](secrets ...T) []Key { return sign.Keys(secrets...) }

// SHA256Key returns a key that signs with HMAC-SHA-256.
func SHA256Key[T string | []byte](secret T) Key { return sign.SHA256Key(secret) }

// SHA1Key returns a key that signs with HMAC-SHA-1.
func SHA1Key[T string | []byte](secret T) Key { return sign.SHA1Key(secret) }
