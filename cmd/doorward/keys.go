package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/term"

	"github.com/doorward/doorward/internal/attest"
	"github.com/doorward/doorward/internal/scan"
)

// tool is what stands in what this program signs.
var tool = attest.Tool{Name: "doorward", Version: scan.Version}

// keyFlags are common to the commands that sign. A passphrase is never an
// argument and never in the environment: others on the machine can see both.
type keyFlags struct {
	Key            string `help:"The private key, in PEM: Ed25519 or ECDSA P-256 (also cosign's)." required:"" placeholder:"FILE"`
	PassphraseFile string `help:"Read the key's passphrase from FILE (default: ask for it)." placeholder:"FILE"`
}

func (k keyFlags) private(ctx context.Context) (*attest.PrivateKey, error) {
	text, err := readText(k.Key)
	if err != nil {
		return nil, fmt.Errorf("the key can't be read: %w", err)
	}
	key, err := attest.ReadPrivateKey(text, func() ([]byte, error) { return k.passphrase(ctx, "Passphrase of "+k.Key) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.Key, err)
	}
	return key, nil
}

// passphrase reads from the file, or asks.
func (k keyFlags) passphrase(ctx context.Context, prompt string) ([]byte, error) {
	if k.PassphraseFile == "" {
		return ask(ctx, prompt)
	}
	text, err := readText(k.PassphraseFile)
	if err != nil {
		return nil, fmt.Errorf("the passphrase can't be read: %w", err)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

// ask asks the person at the terminal, without echo. An interrupt gives the echo
// back.
func ask(ctx context.Context, prompt string) ([]byte, error) {
	in, out, err := console()
	if err != nil {
		return nil, errors.New("a passphrase is needed, and there is no terminal to ask at: give --passphrase-file")
	}
	defer in.Close()
	fd := int(in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, errors.New("a passphrase is needed, and there is no terminal to ask at: give --passphrase-file")
	}
	fmt.Fprint(out, printable(prompt), ": ")
	defer fmt.Fprintln(out)
	type answer struct {
		text []byte
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		done <- answer{text, err}
	}()
	select {
	case a := <-done:
		return a.text, a.err
	case <-ctx.Done():
		term.Restore(fd, before)
		return nil, errors.New("interrupted")
	}
}

// console opens the terminal itself, whatever standard input is.
func console() (in *os.File, out io.Writer, err error) {
	if runtime.GOOS == "windows" {
		in, err = os.OpenFile("CONIN$", os.O_RDWR, 0)
		return in, os.Stderr, err
	}
	in, err = os.OpenFile("/dev/tty", os.O_RDWR, 0)
	return in, in, err
}

// publicKeys reads public keys.
func publicKeys(files []File) ([]*attest.PublicKey, error) {
	var out []*attest.PublicKey
	for _, f := range files {
		k, err := attest.ReadPublicKey(f.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		out = append(out, k)
	}
	return out, nil
}

type keyCmd struct {
	Generate keyGenerateCmd `cmd:"" help:"Make a key pair: NAME.key, which stays with you, and NAME.pub, for those who verify."`
	Show     keyShowCmd     `cmd:"" help:"Print the fingerprint of a key, as a policy names it."`
}

type keyGenerateCmd struct {
	Name           string `arg:"" help:"Where the pair goes: NAME.key and NAME.pub."`
	Algorithm      string `help:"ed25519 or ecdsa-p256." enum:"ed25519,ecdsa-p256" default:"ed25519"`
	PassphraseFile string `help:"Read the passphrase from FILE (default: ask for it)." placeholder:"FILE"`
	NoPassphrase   bool   `help:"Do not encrypt the private key."`
}

// Run writes both files or none, and replaces nothing.
func (c *keyGenerateCmd) Run(ctx context.Context, s *streams) error {
	private, public := c.Name+".key", c.Name+".pub"
	for _, file := range []string{private, public} {
		if _, err := os.Lstat(file); err == nil {
			return fmt.Errorf("%s is there already: a key is not overwritten; choose another name", file)
		}
	}
	passphrase, err := c.passphrase(ctx)
	if err != nil {
		return err
	}
	key, err := attest.Generate(c.Algorithm)
	if err != nil {
		return err
	}
	text, err := key.PEM(passphrase)
	if err != nil {
		return err
	}
	if err := writeNew(private, text, 0o600); err != nil {
		return err
	}
	if err := writeNew(public, key.PublicKey.PEM(), 0o644); err != nil {
		os.Remove(private)
		return err
	}
	_, err = fmt.Fprintln(s.out, key.Fingerprint)
	return err
}

func (c *keyGenerateCmd) passphrase(ctx context.Context) ([]byte, error) {
	if c.NoPassphrase {
		if c.PassphraseFile != "" {
			return nil, errors.New("give --passphrase-file or --no-passphrase, not both")
		}
		return nil, nil
	}
	first, err := keyFlags{PassphraseFile: c.PassphraseFile}.passphrase(ctx, "Passphrase for "+c.Name+".key")
	switch {
	case err != nil:
		return nil, err
	case len(first) == 0:
		return nil, errors.New("an empty passphrase protects nothing: give --no-passphrase if that is meant")
	case c.PassphraseFile != "":
		return first, nil
	}
	second, err := ask(ctx, "The same once more")
	if err == nil && !bytes.Equal(first, second) {
		err = errors.New("the two passphrases differ")
	}
	return first, err
}

// writeNew writes a file that must not be there yet.
func writeNew(file string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("the key can't be written: %w", err)
	}
	_, err = f.Write(text)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(file)
		return fmt.Errorf("the key can't be written: %w", err)
	}
	return nil
}

type keyShowCmd struct {
	Files          []string `arg:"" name:"file" help:"Public or private keys in PEM."`
	PassphraseFile string   `help:"Read the passphrase of a private key from FILE (default: ask for it)." placeholder:"FILE"`
}

// Run prints fingerprint, algorithm and file, a line for each key.
func (c *keyShowCmd) Run(ctx context.Context, s *streams) error {
	files, err := readFiles(roleKey, c.Files)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for i, f := range files {
		k, err := attest.ReadPublicKey(f.Bytes)
		if err != nil {
			private, err2 := keyFlags{c.Files[i], c.PassphraseFile}.private(ctx)
			if err2 != nil {
				return err2
			}
			k = private.PublicKey
		}
		fmt.Fprintf(&out, "%s %s %s\n", k.Fingerprint, k.Algorithm, printable(filepath.Base(c.Files[i])))
	}
	_, err = s.out.Write(out.Bytes())
	return err
}
