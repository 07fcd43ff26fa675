module github.com/fibersess/sess

go 1.26.0
