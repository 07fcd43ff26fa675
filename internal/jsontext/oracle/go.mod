module github.com/fibersess/sess/internal/jsontext/oracle

go 1.26.0

replace github.com/fibersess/sess => ../../../

require (
	github.com/fibersess/sess v0.0.0-00010101000000-000000000000
	github.com/go-json-experiment/json v1.27.2
)
