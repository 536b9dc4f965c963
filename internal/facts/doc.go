// Package facts reads and writes files of origin facts (doorward/facts/v1):
// what an organisation has found out by itself, or imported from a registry, on
// who makes and owns what, and where. It has the names of countries and joins
// what several sources know of one entity. docs/origins.md has the format.
package facts
