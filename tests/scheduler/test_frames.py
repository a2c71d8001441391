"""The frames of a JVM's stack are left out of what is shown of a log's end; what was thrown stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scheduler.attempts.frames import without_frames

SAID = """Traceback (most recent call last):
  File "a.py", line 3, in <module>
py4j.protocol.Py4JJavaError: An error occurred while calling None.org.apache.spark.api.java.JavaSparkContext.
: org.apache.spark.SparkException: External scheduler cannot be instantiated
\tat org.apache.spark.SparkContext$.org$apache$spark$SparkContext$$createTaskScheduler(SparkContext.scala:3204)
\tat java.base/jdk.internal.reflect.DirectConstructorHandleAccessor.newInstance(DirectConstructorHandleAccessor.java:62)
Caused by: io.fabric8.kubernetes.client.KubernetesClientException: pods "x" is forbidden
\t... 13 more
the end
"""


def test_exceptions_stay_and_their_frames_go() -> None:
    assert (
        without_frames(SAID)
        == """Traceback (most recent call last):
  File "a.py", line 3, in <module>
py4j.protocol.Py4JJavaError: An error occurred while calling None.org.apache.spark.api.java.JavaSparkContext.
: org.apache.spark.SparkException: External scheduler cannot be instantiated
Caused by: io.fabric8.kubernetes.client.KubernetesClientException: pods "x" is forbidden
the end
"""
    )


@given(st.lists(st.sampled_from(["at the pier", "  at (", "x at a.b(c)", "... 3 more", "", "\tat sea"])))
def test_other_texts_are_left_as_they_are(lines: list[str]) -> None:
    said = "\n".join(lines)
    assert without_frames(said) == said
