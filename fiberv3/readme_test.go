package sess_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// README's table says what to change. testdata/counter is the result, which TestAProgramOnFiberV3LinksNoAppOfFiberV2 builds.
func TestTheFirstProgramOfTheREADMERunsOnFiberV3ByItsImportsAndTheHandlersType(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```go\n")
	program, _, found := strings.Cut(rest, "```")
	if !found || !strings.HasPrefix(program, "package main") {
		t.Fatal("README.md: got no program as its first Go code")
	}
	rows := regexp.MustCompile("(?m)^\\| (?:import|handler) \\| `(.+)` \\| `(.+)` \\|$").FindAllStringSubmatch(string(text), -1)
	if len(rows) != 3 {
		t.Fatalf("README.md: got %d rows for imports and the handler, want 3", len(rows))
	}
	for _, row := range rows {
		v2, v3 := row[1], row[2]
		if strings.Count(program, v2) != 1 {
			t.Errorf("the program: got %d times %s, want it once", strings.Count(program, v2), v2)
		}
		program = strings.Replace(program, v2, v3, 1)
	}
	want, err := os.ReadFile("testdata/counter/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if program != string(want) {
		t.Errorf("the program for Fiber v3: got\n%s\nwant testdata/counter/main.go", program)
	}
}
