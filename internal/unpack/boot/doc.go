// Package boot opens what boots: kernels and what wraps them, device trees, the
// environments of boot loaders.
package boot
