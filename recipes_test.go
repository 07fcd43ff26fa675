package sess_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// recipeHead is what the recipes of docs/users.md stand in: names that a reader understands.
const recipeHead = `package recipes

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/csrf"
	"github.com/gofiber/fiber/v2"
)

var _ = []any{bufio.ErrBufferFull, context.Canceled, csrf.ErrToken, errors.ErrUnsupported, fmt.Sprint, sess.ErrEnded, time.Second}
`

// recipeFunc is the function around one recipe.
const recipeFunc = `
func recipe%d(ctx context.Context, app *fiber.App, c *fiber.Ctx, m *sess.Manager, s sess.Session, user, device, handle string,
	account, changeEmail fiber.Handler, changePassword func(string)) error {
%s
	return nil
}
`

func TestTheRecipesOfTheUsersPageCompileAndNameTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("docs/users.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := indented(string(page))
	if len(blocks) < 7 {
		t.Fatalf("got %d recipes, want one for each thing to do", len(blocks))
	}
	for _, complaint := range compile(t, blocks) {
		t.Errorf("docs/users.md: got a recipe that does not compile: %s", complaint)
	}

	tests := testNames(t)
	named := regexp.MustCompile(`\bTest[A-Z][A-Za-z0-9]+\b`).FindAllString(string(page), -1)
	if len(named) < len(blocks) {
		t.Errorf("got %d tests named beside %d recipes, want one for each", len(named), len(blocks))
	}
	for _, name := range named {
		if !tests[name] {
			t.Errorf("docs/users.md: got the test %s, want the name of one that exists", name)
		}
	}
}

// The check above must see what is wrong.
func TestARecipeThatDoesNotCompileIsSeen(t *testing.T) {
	got := compile(t, []string{"s.Login(\"ann\")\nunused := 1", "s.Login()", "s.LogIn(\"ann\")"})
	if len(got) != 2 {
		t.Errorf("got the complaints %q, want one of each broken recipe", got)
	}
}

// indented returns the blocks of Go on a page.
func indented(page string) (blocks []string) {
	block := ""
	for line := range strings.Lines(page + "\nend\n") {
		code, ok := strings.CutPrefix(line, "    ")
		switch {
		case ok:
			block += code
		case strings.TrimSpace(line) == "" && block != "":
			block += "\n"
		case block != "":
			if !strings.HasPrefix(block, "go run") {
				blocks = append(blocks, strings.TrimSpace(block))
			}
			block = ""
		}
	}
	return blocks
}

// compile returns what the compiler has against each block, in a package that stands nowhere. That a variable is not used
// is nothing against a recipe.
func compile(t *testing.T, blocks []string) (complaints []string) {
	t.Helper()
	source := recipeHead
	for i, block := range blocks {
		source += fmt.Sprintf(recipeFunc, i, strings.ReplaceAll(block, "{ … }", "{ return nil }"))
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "recipes.go")
	if err := os.WriteFile(file, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "internal", "recipes", "recipes.go"): file}})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, replace, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "build", "-gcflags=-e", "-overlay", overlay, "./internal/recipes").CombinedOutput()
	for line := range strings.Lines(strings.ReplaceAll(string(out), "\n\t", " ")) {
		if !strings.HasPrefix(line, "#") && !strings.Contains(line, "declared and not used") {
			complaints = append(complaints, strings.TrimSpace(strings.ReplaceAll(line, dir, "")))
		}
	}
	if err != nil && len(out) == 0 {
		t.Fatalf("go build: got the error %v, want none", err)
	}
	return complaints
}
