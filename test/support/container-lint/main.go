// Reads a compose file and a Dockerfile as Docker itself does: by the loader of Compose and by BuildKit's
// parser with the checks of `docker build --check`. Starts nothing and asks nobody.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: containers compose|dockerfile FILE"))
	}
	switch os.Args[1] {
	case "compose":
		compose(os.Args[2])
	case "dockerfile":
		dockerfile(os.Args[2])
	default:
		fail(fmt.Errorf("%s is neither compose nor dockerfile", os.Args[1]))
	}
}

func compose(path string) {
	options, err := cli.NewProjectOptions([]string{path}, cli.WithOsEnv, cli.WithDotEnv)
	if err != nil {
		fail(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		fail(err)
	}
	text, err := project.MarshalJSON()
	if err != nil {
		fail(err)
	}
	os.Stdout.Write(text)
}

func dockerfile(path string) {
	file, err := os.Open(path)
	if err != nil {
		fail(err)
	}
	defer file.Close()
	result, err := parser.Parse(file)
	if err != nil {
		fail(err)
	}
	warnings := []string{}
	rules := linter.New(&linter.Config{Warn: func(name, _, _, message string, _ []parser.Range) {
		warnings = append(warnings, name+": "+message)
	}})
	stages, _, err := instructions.Parse(result.AST, rules)
	if err != nil {
		fail(err)
	}
	for _, warning := range result.Warnings {
		warnings = append(warnings, warning.Short)
	}
	type command struct {
		Name string `json:"name"`
		Text string `json:"text"`
	}
	out := struct {
		Warnings []string    `json:"warnings"`
		Stages   [][]command `json:"stages"`
		From     []string    `json:"from"`
	}{Warnings: warnings}
	for _, stage := range stages {
		out.From = append(out.From, stage.BaseName)
		commands := []command{}
		for _, c := range stage.Commands {
			commands = append(commands, command{c.Name(), fmt.Sprint(c)})
		}
		out.Stages = append(out.Stages, commands)
	}
	json.NewEncoder(os.Stdout).Encode(out)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
