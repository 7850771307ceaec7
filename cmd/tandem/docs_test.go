package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// The walk through the incident in the README has the keys of the story that is played of it.
func TestReadmeWalksAsTheStory(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, walk, _ := strings.Cut(string(readme), "| keys | what you see |\n")
	walk, _, _ = strings.Cut(walk, "\n\n")
	var told []string
	for _, row := range strings.Split(walk, "\n") {
		for i, word := range strings.Split(strings.SplitN(row, "|", 3)[1], "`") {
			if i%2 == 1 {
				told = append(told, word)
			}
		}
	}
	story, err := os.ReadFile("testdata/long/walkthrough.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var played []string
	for _, line := range strings.Split(string(story), "\n") {
		if words := strings.Fields(line); len(words) > 1 && slices.Contains([]string{"press", "insist", "leave", "spell"}, words[0]) {
			played = append(played, words[1])
		}
	}
	if diff := cmp.Diff(told, played); diff != "" {
		t.Errorf("the README tells other keys than the story plays (-README +story):\n%s", diff)
	}
}
