# The app in a container, for Kubernetes and Container Apps: docs/kubernetes.md. It holds what `make package` has packed,
# so that one list decides what ships, and your own model comes along (make package MODEL=...).
#
# The tag moves by design, the host is patched behind it; pin what you have tried: --build-arg BASE=...@sha256:...
ARG BASE=mcr.microsoft.com/azure-functions/python:4-python3.13

FROM ${BASE} AS package
COPY blob-image-classifier.zip /
# Compiled here: at run time the user may not write beside the modules, and every start would compile them anew.
RUN python -m zipfile -e /blob-image-classifier.zip /app \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /app \
    && mv /app/.python_packages /packages

FROM ${BASE}
# 8080: a user that is not root may not listen on 80. Nothing is served there but the host's own pages, for the probes.
ENV AzureWebJobsScriptRoot=/home/site/wwwroot \
    AzureWebJobsDisableHomepage=true \
    AzureFunctionsJobHost__FileWatchingEnabled=false \
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true \
    AzureFunctionsJobHost__Logging__FileLoggingMode=never \
    ASPNETCORE_URLS=http://+:8080
EXPOSE 8080
# The host keeps its own files below its HOME, which is /home; the app's are root's, and read only for it.
RUN chown 1654:1654 /home
# What changes rarely comes first: an update of the app alone is a layer of half a megabyte and the model.
COPY --from=package /packages /home/site/wwwroot/.python_packages
COPY --from=package /app /home/site/wwwroot
# 1654 is the user that Microsoft's .NET images bring along (APP_UID).
USER 1654:1654
