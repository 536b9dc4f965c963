// Package stream opens compressed streams.
package stream
