{{/* Names, labels, images. */}}

{{- define "faultline.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* 40: a StatefulSet's name must stay below 52, for a label adds a hash to it. */}}
{{- define "faultline.fullname" -}}
{{- $plain := contains (include "faultline.name" .) .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name (include "faultline.name" .)) }}
{{- default $plain .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* What selects the pods of a component: frozen, since selectors cannot be changed. Takes root, name. */}}
{{- define "faultline.selector" -}}
app.kubernetes.io/name: {{ include "faultline.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{/* Labels of an object. Takes root, name. */}}
{{- define "faultline.labels" -}}
{{- with .root.Values.commonLabels }}
{{- toYaml . | nindent 0 }}
{{- end }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: faultline
{{ include "faultline.selector" . }}
{{- end }}

{{/* Name, namespace and labels. Takes root, name; named: the object's name, where it is not the component's. */}}
{{- define "faultline.meta" -}}
name: {{ .named | default (printf "%s-%s" (include "faultline.fullname" .root) .name) }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "faultline.labels" . | trim | nindent 2 }}
{{- end }}

{{/* Takes root, image. */}}
{{- define "faultline.image" -}}
{{- $image := .root.Values.image }}
{{- $name := $image.registry | empty | ternary .image.repository (printf "%s/%s" (trimSuffix "/" $image.registry) .image.repository) }}
{{- if .image.digest }}
{{- printf "%s@%s" $name .image.digest }}
{{- else }}
{{- printf "%s:%s" $name (coalesce .image.tag $image.tag .root.Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/* The image of a bundled engine, which has a registry of its own. */}}
{{- define "faultline.bundledImage" -}}
{{- .digest | empty | ternary (printf "%s:%s" .repository .tag) (printf "%s@%s" .repository .digest) }}
{{- end }}

{{/* The Secret of something: the user's, or ours. Takes root, name, existing. */}}
{{- define "faultline.secret" -}}
{{- .existing | default (printf "%s-%s" (include "faultline.fullname" .root) .name) }}
{{- end }}

{{/* All pools of training, each whole: base, and over it what the pool says. */}}
{{- define "faultline.pools" -}}
{{- $pools := dict }}
{{- range $name, $own := .Values.training.pools }}
{{- if not (kindIs "invalid" $own) }}
{{- $whole := deepCopy $.Values.training.base }}
{{- range $key, $value := $own }}
{{- if and (kindIs "map" $value) (hasKey $whole $key) (not (has $key (list "nodeSelector" "affinity"))) }}
{{- $_ := set $whole $key (include "faultline.over" (dict "base" (index $whole $key) "own" $value) | fromYaml) }}
{{- else }}
{{- $_ := set $whole $key $value }}
{{- end }}
{{- end }}
{{- $_ := set $pools $name $whole }}
{{- end }}
{{- end }}
{{- toYaml $pools }}
{{- end }}

{{/* A map with another over it, whatever that says: also false, 0 and "". */}}
{{- define "faultline.over" -}}
{{- $result := deepCopy .base }}
{{- range $key, $value := .own }}
{{- if and (kindIs "map" $value) (kindIs "map" (index $result $key)) }}
{{- $_ := set $result $key (include "faultline.over" (dict "base" (index $result $key) "own" $value) | fromYaml) }}
{{- else }}
{{- $_ := set $result $key $value }}
{{- end }}
{{- end }}
{{- toYaml $result }}
{{- end }}
