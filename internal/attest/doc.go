// Package attest signs what Doorward says, and checks what others signed:
// decisions and reports (in-toto statements), makers' declarations and
// exceptions, all in DSSE envelopes. docs/evidence.md has the formats.
//
// It knows the vocabulary only, reads no files and has no clock. It says who
// signed what and judges nothing: whom an organisation trusts stands in its
// policy, and package policy applies it.
//
// The same statement signed with the same key gives the same bytes: Ed25519 is
// deterministic, and ECDSA is used as RFC 6979 has it.
package attest
