package main

import (
	"os"
	"testing"
)

// The README has the keys that the program has.
func TestReadmeHasTheKeys(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	with, err := withKeys(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if with != string(text) {
		t.Error("the key table of the README is not that of the program: go run ./cmd/tandem docs keys README.md mends it")
	}
}
