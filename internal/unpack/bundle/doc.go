// Package bundle opens what programs carry besides their code: archives behind
// their end, installers, and interpreters with the program that they run. The
// files of such bundles are opened as well when they stand alone.
package bundle
