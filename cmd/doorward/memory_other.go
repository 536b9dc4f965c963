//go:build !linux

package main

// largePages is Linux's alone.
func largePages(int) {}
