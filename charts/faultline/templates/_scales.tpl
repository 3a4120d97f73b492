{{/* Whether any pool follows its work. */}}
{{- define "faultline.scales" -}}
{{- $any := false }}
{{- range include "faultline.pools" . | fromYaml }}
{{- $any = or $any .autoscaling.enabled }}
{{- end }}
{{- $any }}
{{- end }}
