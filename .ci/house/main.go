// House checks what the compiler cannot: which package may import which, how long files and functions may be, and that
// dependabot knows every module. Run it from the repository's root:
//
//	go run ./.ci/house            everything
//	go run ./.ci/house -imports   without the lengths
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const module = "github.com/fibersess/sess"

// allowed says what each package may import of this module; "" is the root. The packages under internal/ stand above
// those that they import. A package that is not here has no place yet: give it one.
var allowed = map[string][]string{
	"internal/ident":        {},
	"internal/ratelog":      {},
	"internal/jsontext":     {},
	"internal/record":       {"internal/ident", "internal/jsontext"},
	"internal/draft":        {"internal/record"},
	"internal/fiberstorage": {"internal/ident"},
	"internal/group":        {"internal/ident", "internal/record"},
	"internal/guard":        {},
	"internal/sign":         {"internal/ident", "internal/tally"},
	"internal/tally":        {},
	"internal/cookies":      {"internal/ident", "internal/jsontext", "internal/sign"},
	"internal/memory":       {"internal/ident", "internal/record"},
	"internal/near":         {"internal/ident", "internal/record"},
	"internal/live":         {"internal/ident", "internal/record"},
	"internal/redis":        {"internal/ident", "internal/near", "internal/record"},
	"internal/redistest":    {},
	"internal/ordertest":    {"", "sesstest"},
	"internal/work":         {""},
	"internal/engine": {
		"internal/cookies", "internal/draft", "internal/group", "internal/guard", "internal/ident", "internal/ratelog",
		"internal/jsontext", "internal/live", "internal/record", "internal/sign", "internal/tally", "internal/users",
	},
	"internal/httpstatus": {},
	"internal/users":      {"internal/ident", "internal/record"},
	"": {
		"internal/cookies", "internal/fiberstorage", "internal/engine", "internal/ident", "internal/jsontext", "internal/memory",
		"internal/record", "internal/redis", "internal/sign", "internal/httpstatus", "internal/tally", "internal/users",
	},
	"csrf":             {"", "internal/httpstatus"},
	"sesstest":         {""},
	"examples/web":     {},
	"examples/cluster": {"", "examples/web"},
	"examples/counter": {"", "examples/web"},
	"examples/koa":     {"", "examples/web"},
	"examples/login":   {"", "csrf", "examples/web"},
	"cmd/sess":         {""},
}

// redisFiles are the files, and folders with a slash behind, that may import the Redis client: a program that keeps its
// sessions in memory must not link it. Tests may, and the examples that show Redis.
var redisFiles = []string{"rueidis_store.go", "internal/redis/", "internal/redistest/", "internal/work/", "examples/", "cmd/"}

const redisClient = "github.com/redis/rueidis"

// Bounds of the text, without tests.
const (
	maxFileLines     = 400
	maxFunctionLines = 60
	maxRootFiles     = 20
	maxRootLines     = 3200
)

// unbounded are modules of nothing but tests and measurements.
var unbounded = []string{"bench/", "browser/", "interop/", "reliability/", "streams/"}

func main() {
	importsOnly := flag.Bool("imports", false, "check imports only")
	flag.Parse()
	faults, err := imports()
	if err == nil && !*importsOnly {
		var long []string
		long, err = lengths()
		faults = append(faults, long...)
	}
	if err == nil {
		var untrue []string
		untrue, err = documented()
		faults = append(faults, untrue...)
	}
	if err == nil && !*importsOnly {
		var stale []string
		stale, err = unwatched()
		faults = append(faults, stale...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "house:", err)
		os.Exit(2)
	}
	for _, f := range faults {
		fmt.Fprintln(os.Stderr, "house:", f)
	}
	if len(faults) > 0 {
		os.Exit(1)
	}
}

// documented returns each row of the table in docs/architecture.md that says something else than allowed, and each layer without a row.
func documented() ([]string, error) {
	const page = "docs/architecture.md"
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	var faults []string
	rows := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 {
			continue
		}
		says := strings.FieldsFunc(cells[3], func(r rune) bool { return r == ' ' || r == ',' })
		for _, name := range strings.Split(cells[1], ",") {
			name = strings.Trim(strings.TrimSpace(name), "`")
			if name == "the root" {
				name = ""
			} else if !strings.HasPrefix(name, "internal/") {
				continue
			}
			may := allowed[name]
			rows[name] = true
			want := make([]string, 0, len(may))
			for _, m := range may {
				want = append(want, strings.TrimPrefix(m, "internal/"))
			}
			slices.Sort(want)
			slices.Sort(says)
			if !outside(name) && !slices.Equal(says, want) {
				faults = append(faults, fmt.Sprintf("%s: %s imports %q; want %q", page, display(name), says, want))
			}
		}
	}
	for name := range allowed {
		if strings.HasPrefix(name, "internal/") && !rows[name] {
			faults = append(faults, fmt.Sprintf("%s: got no row for %s", page, name))
		}
	}
	slices.Sort(faults)
	return faults, nil
}

// outside reports whether name is a helper of tests, which may import what stands above it.
func outside(name string) bool {
	return name == "internal/ordertest" || name == "internal/work"
}

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

// imports returns each import that the table does not allow, and each file that must not know the Redis client.
func imports() ([]string, error) {
	packages, err := list()
	if err != nil {
		return nil, err
	}
	var faults []string
	for _, p := range packages {
		name := inside(p.ImportPath)
		may, known := allowed[name]
		if !known {
			faults = append(faults, fmt.Sprintf("%s: is not in the table of .ci/house; want a line that says what it may import", name))
		}
		for _, path := range p.Imports {
			if of, ours := strings.CutPrefix(path+"/", module+"/"); ours && known && !slices.Contains(may, strings.TrimSuffix(of, "/")) {
				faults = append(faults, fmt.Sprintf("%s imports %s; want only %q", display(name), display(inside(path)), may))
			}
		}
		if slices.ContainsFunc(p.Imports, client) {
			files, err := clients(p)
			if err != nil {
				return nil, err
			}
			faults = append(faults, files...)
		}
	}
	return faults, nil
}

// list asks go list for the packages of this module.
func list() ([]listed, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages, nil
		case err != nil:
			return nil, err
		}
		packages = append(packages, p)
	}
}

// clients returns the files of p that import the Redis client and must not.
func clients(p listed) ([]string, error) {
	var faults []string
	for _, file := range p.GoFiles {
		name := filepath.ToSlash(filepath.Join(inside(p.ImportPath), file))
		if slices.ContainsFunc(redisFiles, func(may string) bool {
			return name == may || strings.HasSuffix(may, "/") && strings.HasPrefix(name, may)
		}) {
			continue
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.ImportsOnly)
		if err != nil {
			return nil, err
		}
		for _, spec := range syntax.Imports {
			if client(strings.Trim(spec.Path.Value, `"`)) {
				faults = append(faults, fmt.Sprintf("%s imports %s; want it in %q only", name, redisClient, redisFiles))
			}
		}
	}
	return faults, nil
}

func client(path string) bool {
	return path == redisClient || strings.HasPrefix(path, redisClient+"/")
}

// inside returns an import path of this module without the module's.
func inside(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
}

func display(name string) string {
	if name == "" {
		return "the root"
	}
	return name
}

// lengths returns each file and each function that is too long, and says if the root is too large.
func lengths() ([]string, error) {
	out, err := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "*.go").Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	var faults []string
	rootFiles, rootLines := 0, 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		name := lines.Text()
		if strings.HasSuffix(name, "_test.go") || slices.ContainsFunc(unbounded, func(dir string) bool { return strings.HasPrefix(name, dir) }) {
			continue
		}
		text, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) { // deleted, and not yet committed
			continue
		}
		if err != nil {
			return nil, err
		}
		n := bytes.Count(text, []byte("\n"))
		if n > maxFileLines {
			faults = append(faults, fmt.Sprintf("%s: %d lines; want at most %d", name, n, maxFileLines))
		}
		if !strings.Contains(name, "/") {
			rootFiles, rootLines = rootFiles+1, rootLines+n
		}
		long, err := functions(name, text)
		if err != nil {
			return nil, err
		}
		faults = append(faults, long...)
	}
	if rootFiles > maxRootFiles || rootLines > maxRootLines {
		faults = append(faults, fmt.Sprintf("the root: %d files and %d lines; want at most %d and %d", rootFiles, rootLines, maxRootFiles, maxRootLines))
	}
	return faults, nil
}

// functions returns each function of a file that is too long, its comment aside.
func functions(name string, text []byte) ([]string, error) {
	set := token.NewFileSet()
	syntax, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var faults []string
	for _, decl := range syntax.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1; n > maxFunctionLines {
			faults = append(faults, fmt.Sprintf("%s: %s has %d lines; want at most %d", set.Position(f.Pos()), f.Name.Name, n, maxFunctionLines))
		}
	}
	return faults, nil
}

// unwatched returns the modules and npm packages whose dependencies dependabot does not look at.
func unwatched() ([]string, error) {
	const config = ".github/dependabot.yml"
	text, err := os.ReadFile(config)
	if err != nil {
		return nil, err
	}
	out, err := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "*go.mod", "*package.json").Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	var faults []string
	for name := range strings.FieldsSeq(string(out)) {
		dir := "/" + strings.TrimPrefix(filepath.ToSlash(filepath.Dir(name)), ".")
		if !strings.Contains(string(text), "\n      - "+dir+"\n") {
			faults = append(faults, fmt.Sprintf("%s: has no line for %s; want one for each go.mod and package.json", config, dir))
		}
	}
	return faults, nil
}
