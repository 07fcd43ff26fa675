package main

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

// Iterations of PBKDF2 with SHA-256, as OWASP's Password Storage Cheat Sheet has it: about 0.15 s of one core.
const iterations = 600_000

// passwords makes and checks what is kept of passwords: "pbkdf2-sha256$600000$salt$key".
type passwords struct {
	iterations int
	turns      chan struct{} // as many at once as there are CPUs, so that guesses do not take the machine
	nobody     string        // what a password is checked against where there is no account

	derived func() // a test's; nil: none
}

func newPasswords(iterations int) (*passwords, error) {
	p := &passwords{iterations: iterations, turns: make(chan struct{}, runtime.NumCPU())}
	var err error
	p.nobody, err = p.hash(rand.Text())
	return p, err
}

// hash returns what is kept of password.
func (p *passwords) hash(password string) (string, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	key, err := p.derive(password, salt, p.iterations)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("pbkdf2-sha256$%d$%s$%s", p.iterations, base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// check reports whether password is that of which kept is kept, "" if there is no account. It takes as long in either
// case, so that nobody learns from the time which names exist.
func (p *passwords) check(kept, password string) (bool, error) {
	exists := kept != ""
	if !exists {
		kept = p.nobody
	}
	salt, want, n, err := parse(kept)
	if err != nil {
		return false, err
	}
	got, err := p.derive(password, salt, n)
	if err != nil {
		return false, err
	}
	return hmac.Equal(got, want) && exists, nil
}

// parse takes apart what hash has made. The error does not repeat it.
func parse(kept string) (salt, key []byte, iterations int, err error) {
	part := strings.Split(kept, "$")
	if len(part) != 4 || part[0] != "pbkdf2-sha256" {
		return nil, nil, 0, fmt.Errorf("account: got another format of passwords, want pbkdf2-sha256")
	}
	if iterations, err = strconv.Atoi(part[1]); err != nil {
		return nil, nil, 0, fmt.Errorf("account: got no number of iterations, want one")
	}
	salt, err = base64.RawStdEncoding.DecodeString(part[2])
	if err == nil {
		key, err = base64.RawStdEncoding.DecodeString(part[3])
	}
	return salt, key, iterations, err
}

func (p *passwords) derive(password string, salt []byte, iterations int) ([]byte, error) {
	p.turns <- struct{}{}
	defer func() { <-p.turns }()
	if p.derived != nil {
		p.derived()
	}
	return pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
}
